"""Built-in models: one a file, found by being there."""

from __future__ import annotations

from ganbench import Model
from ganbench_builtin._found import found

ALL: list[type[Model]] = found(__name__, Model)
