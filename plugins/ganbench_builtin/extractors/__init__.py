"""Built-in feature extractors: one a file, found by being there."""

from __future__ import annotations

from ganbench import Extractor
from ganbench_builtin._found import found

ALL: list[type[Extractor]] = found(__name__, Extractor)
