"""Which values of swept options are stable."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.errors import BadInput, nearest
from ganbench.judging.outcomes import Outcome
from ganbench.results.summary import known_runs, ranked_values

OPTION_COLUMNS = (
    *("option", "values", "runs", "stable", "share", "low", "high"),
    *("worst", "worst_share", "best", "best_share", "importance", "importance_of_rank"),
)
IQM_FROM = 4
"""Below this many runs the middle half is too small to average: the median is used."""
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
        directions: metric -> "higher" or "lower"; lower if it is not named.
    """
    for name in (x, *([] if y is None else [y])):
        if name not in swept:
            raise BadInput(f"no variant sweeps {name!r}; {nearest(name, swept)}")
    # One option on both axes gives the diagonal.
    axes = [x] if y is None or y == x else [x, y]
    # A variant that does not sweep an option has NaN in its column.
    runs_on_map = runs.dropna(subset=axes)
    metric = _common(runs_on_map, metrics)
    rows = [
        {"x": point[0], "y": point[-1] if y is not None else math.nan}
        | _point(runs_at_point, metric, directions.get(metric, "lower"))
        for point, runs_at_point in _points(runs_on_map, axes)
    ]
    return pd.DataFrame(rows, columns=list(MAP_COLUMNS))


def _points(runs: pd.DataFrame, axes: list[str]) -> Iterator[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    for point, runs_at_point in runs.groupby(axes):
        yield (point if isinstance(point, tuple) else (point,)), runs_at_point


def _statistic(values: np.ndarray) -> stats.Statistic:
    """The statistic that orders settings, failed runs as worst: the IQM, or the median of few."""
    return stats.iqm if len(values) >= IQM_FROM else stats.median


def _point(runs: pd.DataFrame, metric: str, direction: str) -> dict[str, float]:
    stable = int((runs["outcome"] == Outcome.FINISHED).sum())
    rate = stats.wilson(stable, len(runs))
    estimate = math.nan
    if metric:
        values = ranked_values(known_runs(runs), f"final_{metric}", direction)
        estimate = float(_statistic(values)(values))
    counts = {"runs": len(runs), "stable": stable, "share": stable / len(runs)}
    return counts | {"low": rate.low, "high": rate.high, "estimate": estimate}


def sensitivity(
    runs: pd.DataFrame, swept: Sequence[str], metrics: Mapping[str, str], directions: Mapping[str, str]
) -> pd.DataFrame:
    """One row a swept option, over the runs that have it; the columns are those of `Results.sensitivity`.

    Arguments: as of `stability_map`.
    """
    rows = [_option(runs.dropna(subset=[name]), name, metrics, directions) for name in swept]
    return pd.DataFrame(rows, columns=list(OPTION_COLUMNS))


def _option(
    runs: pd.DataFrame, name: str, metrics: Mapping[str, str], directions: Mapping[str, str]
) -> dict[str, object]:
    metric = _common(runs, metrics)
    direction = directions.get(metric, "lower")
    effect = _effect(runs, name, metric, direction)
    stable = runs["outcome"] == Outcome.FINISHED
    share, interval = stats.stable_volume(pd.factorize(runs["variant"])[0], stable.to_numpy())
    worst, best = int(np.argmin(effect.stable)), int(np.argmax(effect.stable))
    measured = known_runs(runs)
    # Stability counts every run; ranks count only runs whose value is known.
    rank = math.nan
    if metric and len(measured):
        rank = _effect(measured, name, metric, direction).importance_of_rank
    return {
        "option": name,
        "values": len(effect.values),
        "runs": len(runs),
        "stable": int(stable.sum()),
        "share": share,
        "low": interval.low,
        "high": interval.high,
        "worst": effect.values[worst],
        "worst_share": effect.stable[worst],
        "best": effect.values[best],
        "best_share": effect.stable[best],
        "importance": effect.importance,
        "importance_of_rank": rank,
    }


def _effect(runs: pd.DataFrame, name: str, metric: str, direction: str) -> stats.Effect:
    """The effect of one option. Each variant counts as a cell of the grid, whatever else differs."""
    values = ranked_values(runs, f"final_{metric}", direction)
    points = np.column_stack([runs[name].to_numpy(dtype=np.float64), pd.factorize(runs["variant"])[0]])
    stable = (runs["outcome"] == Outcome.FINISHED).to_numpy()
    return stats.marginal_effects(points, stable, -values if direction == "higher" else values)[0]


def _common(runs: pd.DataFrame, metrics: Mapping[str, str]) -> str:
    """The metric that all variants share; empty if they differ."""
    used = {metrics.get(str(variant), "") for variant in runs["variant"].unique()}
    return used.pop() if len(used) == 1 else ""
