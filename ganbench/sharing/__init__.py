"""Sharing results: an archive of a suite's rows, which others can check and train again."""
