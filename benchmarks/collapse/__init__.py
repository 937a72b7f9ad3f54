"""Which indicator sees which collapse: `python -m benchmarks.collapse --help`, from the checkout."""
