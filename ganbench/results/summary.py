"""One row a variant: how often it failed, and how good it is when it finishes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.judging.outcomes import Outcome

COLUMNS = (
    *("variant", "runs", "failures", "failure_rate", "failure_low", "failure_high", "outcomes"),
    *("metric", "direction", "final", "final_low", "final_high", "best", "best_low", "best_high"),
    *("n", "level", "ranked"),
)
TIME_COLUMNS = ("key", "variant", "seed", "outcome", "reached", "step", "seconds")


def summarise(runs: pd.DataFrame, metrics: Mapping[str, str], directions: Mapping[str, str]) -> pd.DataFrame:
    """One row a variant, in order of first appearance.

    Arguments:
        runs: one row a run: variant, outcome, measured, final_<metric>, best_<metric>.
        metrics: variant -> the metric to show; without one the values are NaN.
        directions: metric -> "higher" or "lower"; lower if it is not named.
    """
    rows = [
        _row(str(variant), rows, metrics.get(str(variant), ""), directions)
        for variant, rows in runs.groupby("variant", sort=False, observed=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def times_to(
    runs: pd.DataFrame, evaluations: pd.DataFrame, metric: str, threshold: float, direction: str
) -> pd.DataFrame:
    """One row a run: when the metric first reached the threshold; censored at the budget if it did not.

    Arguments:
        runs: one row a run: key, variant, seed, outcome, steps, budget, seconds, stack.
        evaluations: rows (key, step, metric, value), of one kind of weights per run.
        direction: "higher" or "lower".
    """
    rows = evaluations[evaluations["metric"] == metric].sort_values("step", kind="stable")
    reached = {
        str(key): stats.first_reached(
            points["step"].to_numpy(), points["value"].to_numpy(dtype=np.float64), threshold, direction
        )
        for key, points in rows.groupby("key", sort=False, observed=True)
    }
    # A run that reached the threshold and failed later did not keep what it had: it counts as censored.
    first = runs["key"].map(reached).where(runs["outcome"] == Outcome.FINISHED).astype("Float64")
    step = first.fillna(runs["budget"].astype("Float64"))
    # A stack trains as long as its longest run: each run is charged an equal share of that time.
    trained = runs["steps"].groupby([runs["stack"].fillna(runs["key"])]).transform("max")
    # No time or no step gives NaN, not a division by zero.
    training_seconds = runs["seconds"].where((runs["seconds"] > 0) & (trained > 0))
    table = {
        **{name: runs[name] for name in ("key", "variant", "seed", "outcome")},
        "reached": first.notna(),
        "step": step.astype("Int64"),
        "seconds": (training_seconds / trained * step.astype("float64")).astype("float64"),
    }
    return pd.DataFrame(table, columns=list(TIME_COLUMNS)).reset_index(drop=True)


def _row(variant: str, rows: pd.DataFrame, metric: str, directions: Mapping[str, str]) -> dict[str, object]:
    count, failures = len(rows), int((rows["outcome"] != Outcome.FINISHED).sum())
    rate = stats.wilson(failures, count)
    direction = directions.get(metric, "lower") if metric else ""
    row: dict[str, object] = {
        "variant": variant,
        "runs": count,
        "failures": failures,
        "failure_rate": failures / count,
        "failure_low": rate.low,
        "failure_high": rate.high,
        "outcomes": _outcomes(rows["outcome"]),
        "metric": metric,
        "direction": direction,
        "ranked": _ranked(rows, metric, direction) if metric else math.nan,
    }
    for when in ("final", "best"):
        values = finished_values(rows, f"{when}_{metric}")
        span = stats.median_interval(values)
        row |= {when: float(stats.median(values)), f"{when}_low": span.low, f"{when}_high": span.high}
        row |= {"n": len(values), "level": span.level}  # the same for both
    return row


def _ranked(rows: pd.DataFrame, metric: str, direction: str) -> float:
    """The median in which failed runs count as worst: infinite where half of them failed."""
    return float(stats.median(ranked_values(known_runs(rows), f"final_{metric}", direction)))


def finished_values(rows: pd.DataFrame, column: str) -> np.ndarray:
    """A column's values of the runs that finished and have one."""
    if column not in rows:
        return np.empty(0)
    values = rows.loc[rows["outcome"] == Outcome.FINISHED, column].to_numpy(dtype=np.float64)
    return values[~np.isnan(values)]


def known_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Without runs that finished but whose values can no longer be read: their rank is unknown."""
    return runs[runs["measured"] | (runs["outcome"] != Outcome.FINISHED)]


def ranked_values(rows: pd.DataFrame, column: str, direction: str) -> np.ndarray:
    """A column's values; inf (-inf where higher is better) for failed runs and for those without a value."""
    worst = -math.inf if direction == "higher" else math.inf
    if column not in rows:
        return np.full(len(rows), worst)
    values = rows[column].to_numpy(dtype=np.float64)
    return np.where((rows["outcome"] != Outcome.FINISHED) | np.isnan(values), worst, values)


def _outcomes(outcomes: pd.Series) -> str:
    """Such as "4 finished, 1 collapsed": finished first, then the most frequent."""
    counts = {str(name): int(count) for name, count in outcomes.value_counts().items()}
    ordered = sorted(counts.items(), key=lambda item: (item[0] != Outcome.FINISHED, -item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)
