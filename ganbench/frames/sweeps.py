"""Where in the range of swept options runs are stable."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.errors import BadInput, nearest
from ganbench.summary import ranked_values, statistic_of

MAP_COLUMNS = ("x", "y", "runs", "stable", "share", "low", "high", "estimate")


def stability_map(
    runs: pd.DataFrame,
    swept: Sequence[str],
    x: str,
    y: str | None,
    metrics: Mapping[str, str],
    directions: Mapping[str, str],
) -> pd.DataFrame:
    """One row a point of the grid; the columns are those of `Results.stability_map`.

    Arguments:
        runs: one row a run: variant, outcome, final_<metric>, the swept options.
        swept: columns that hold swept options.
        metrics: variant -> metric.
        directions: metric -> "higher" or "lower"; lower where it is not named.
    """
    for name in (x, *([] if y is None else [y])):
        if name not in swept:
            raise BadInput(f"no variant sweeps {name!r}; {nearest(name, swept)}")
    axes = [x] if y is None or y == x else [x, y]
    known = runs.dropna(subset=axes)
    measured = {metrics.get(str(variant), "") for variant in known["variant"].unique()}
    metric = measured.pop() if len(measured) == 1 else ""
    rows = [
        {"x": point[0], "y": point[-1] if y is not None else math.nan}
        | _point(own, metric, directions.get(metric, "lower"))
        for point, own in _points(known, axes)
    ]
    return pd.DataFrame(rows, columns=list(MAP_COLUMNS))


def _points(runs: pd.DataFrame, axes: list[str]) -> Iterator[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    for point, own in runs.groupby(axes):
        yield (point if isinstance(point, tuple) else (point,)), own


def _point(runs: pd.DataFrame, metric: str, direction: str) -> dict[str, Any]:
    failed = (runs["outcome"] != "finished").to_numpy()
    stable = int((~failed).sum())
    rate = stats.wilson(stable, len(runs))
    estimate = math.nan
    if metric:
        values = ranked_values(runs, f"final_{metric}", failed, direction)
        estimate = float(statistic_of(values)(values))
    told = {"runs": len(runs), "stable": stable, "share": stable / len(runs)}
    return told | {"low": rate.low, "high": rate.high, "estimate": estimate}


def sensitivity(runs: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    raise NotImplementedError


_ = np
