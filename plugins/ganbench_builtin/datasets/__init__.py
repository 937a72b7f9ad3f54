"""Built-in data sets: one a file, found by being there."""

from __future__ import annotations

from ganbench import Dataset
from ganbench_builtin._found import found

ALL: list[type[Dataset]] = found(__name__, Dataset)
