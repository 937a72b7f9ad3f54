"""Results on disk -> tidy pandas frames -> one row a variant. No training code is loaded for it."""

from ganbench.frames.loading import load
from ganbench.frames.results import Results
from ganbench.frames.values import averaged

__all__ = ["Results", "averaged", "load"]
