"""Sharing results: one archive of a suite's rows, and what whoever gets it can check and train again."""
