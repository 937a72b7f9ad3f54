"""Results on disk -> tidy pandas frames -> one row a variant. No training code is loaded for it."""

from ganbench.results.loading import load
from ganbench.results.results import Results
from ganbench.results.values import averaged

__all__ = ["Results", "averaged", "load"]
