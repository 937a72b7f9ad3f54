"""Built-in losses: one a file, found by being there."""

from __future__ import annotations

from ganbench import Loss
from ganbench_builtin._found import found

ALL: list[type[Loss]] = found(__name__, Loss)
