"""From evaluations to values of runs: averaged weights before raw ones, the final and the best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd


def averaged(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The rows of the averaged weights, of the runs that have some; all rows of the others."""
    ema = evaluations["weights"] == "ema"
    if not ema.any():
        return evaluations
    return evaluations[ema | ~evaluations["key"].isin(evaluations.loc[ema, "key"])]


def metric_columns(evaluations: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """Key -> final_<metric> and best_<metric>, metrics in order of first appearance."""
    rows = averaged(evaluations).sort_values("step", kind="stable")
    last = rows.drop_duplicates(["key", "metric"], keep="last").pivot(
        index="key", columns="metric", values="value"
    )
    # Negated where higher is better, so that one minimum serves both directions.
    sign = np.where(rows["metric"].map(directions) == "higher", -1.0, 1.0)
    best = (rows["value"] * sign).groupby([rows["key"], rows["metric"]]).min().unstack("metric")
    columns = {}
    for metric in evaluations["metric"].unique():
        columns[f"final_{metric}"] = last[metric]
        columns[f"best_{metric}"] = best[metric] * (-1.0 if directions.get(metric) == "higher" else 1.0)
    return pd.DataFrame(columns, index=last.index)
