"""Built-in metrics: one a file, found by being there."""

from __future__ import annotations

from ganbench import Metric
from ganbench_builtin._found import found

ALL: list[type[Metric]] = found(__name__, Metric)
