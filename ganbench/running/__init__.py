"""Sessions, worker processes, and who is told of what happens."""
