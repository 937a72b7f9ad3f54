"""Built-in loggers: one a file, found by being there."""

from __future__ import annotations

from ganbench import Logger
from ganbench_builtin._found import found

ALL: list[type[Logger]] = found(__name__, Logger)
