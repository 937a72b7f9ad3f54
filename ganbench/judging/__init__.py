"""How a run ended: verdicts from rows, by declared thresholds."""
