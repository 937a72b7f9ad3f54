"""Performance profiles: the share of runs at least as good as each threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.results.summary import known_runs, ranked_values

COLUMNS = ("variant", "dataset", "metric", "direction", "threshold", "share", "low", "high", "n")


def profiles(runs: pd.DataFrame, metrics: Mapping[str, str], directions: Mapping[str, str]) -> pd.DataFrame:
    """One row a (variant, threshold); the columns are those of `Results.profile`.

    Arguments:
        runs: one row a run: variant, dataset, outcome, measured, final_<metric>.
        metrics: variant -> metric; variants without one are left out.
        directions: metric -> "higher" or "lower"; lower if it is not named.
    """
    runs = known_runs(runs).assign(metric=lambda rows: rows["variant"].map(metrics))
    frames = [
        _task(rows, str(metric), directions.get(str(metric), "lower"))
        for (_, metric), rows in runs.groupby(["dataset", "metric"], sort=False, observed=True)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _task(runs: pd.DataFrame, metric: str, direction: str) -> pd.DataFrame:
    """The profiles of the variants on one data set."""
    values = pd.Series(ranked_values(runs, f"final_{metric}", direction), index=runs.index)
    # a profile is a step function that changes at values of runs only, so these thresholds lose nothing
    thresholds = np.unique(values[np.isfinite(values)])
    frames = []
    for variant, scores in values.groupby(runs["variant"], sort=False, observed=True):
        shares = stats.performance_profile(scores.to_numpy(), thresholds, direction == "lower")
        # share * n is a count but for the rounding of the division.
        intervals = [stats.wilson(round(share * len(scores)), len(scores)) for share in shares]
        profile = {
            "variant": str(variant),
            "dataset": runs["dataset"].iloc[0],
            "metric": metric,
            "direction": direction,
            "threshold": thresholds,
            "share": shares,
            "low": [interval.low for interval in intervals],
            "high": [interval.high for interval in intervals],
            "n": len(scores),
        }
        frames.append(pd.DataFrame(profile, columns=list(COLUMNS)))
    return pd.concat(frames, ignore_index=True)
