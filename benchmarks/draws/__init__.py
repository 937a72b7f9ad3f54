"""How normal draws are made and how good they are: see its modules."""
