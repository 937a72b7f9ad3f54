"""The engine against a hand-written loop: `python -m benchmarks.speed --help`, from the checkout."""
