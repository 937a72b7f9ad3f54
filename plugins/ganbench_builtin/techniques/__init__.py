"""Built-in techniques: one a file, found by being there."""

from __future__ import annotations

from ganbench import Technique
from ganbench_builtin._found import found

ALL: list[type[Technique]] = found(__name__, Technique)
