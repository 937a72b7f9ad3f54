"""When runs fail, or when they become good: curves and tests over censored times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.judging.outcomes import Outcome

COLUMNS = ("variant", "step", "at_risk", "events", "survival", "low", "high", "n")
TEST_COLUMNS = ("variant", "n", "events", "rmst", "rmst_low", "rmst_high", "median", "p", "p_holm")


def to_failure(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a run: variant, time (in steps), event (it failed), budget.

    A failed run dies at its onset, or where that is unknown at its last step (at 1 where it has none); a
    finished one is censored at its budget.
    """
    failed = runs["outcome"] != Outcome.FINISHED
    # Steps count from 1: at time 0 no run is at risk.
    died = runs["onset_step"].fillna(runs["steps"].astype("Int64")).clip(lower=1)
    budget = runs["budget"].astype("Float64").fillna(runs["steps"]).astype("Int64")
    time = died.where(failed, budget)
    return pd.DataFrame({"variant": runs["variant"], "time": time, "event": failed, "budget": budget})


def curves(times: pd.DataFrame) -> pd.DataFrame:
    """The product-limit estimate of each variant (Kaplan and Meier 1958).

    Arguments:
        times: variant, time, event (False: censored there).

    Columns: variant, step, at_risk, events, survival, low, high, n.
    """
    # Used only where there are no runs: concat needs a frame, and callers need the columns.
    frames = [pd.DataFrame(columns=list(COLUMNS))]
    for variant, time, event in _groups(times):
        curve = stats.kaplan_meier(time, event)
        counts = {"variant": variant, "step": curve.time, "at_risk": curve.at_risk, "events": curve.events}
        spread = {"survival": curve.survival, "low": curve.low, "high": curve.high}
        frames.append(pd.DataFrame(counts | spread | {"n": len(time)}))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def tests(times: pd.DataFrame, baselines: Mapping[str, str]) -> pd.DataFrame:
    """One row a variant: mean and median times, and log-rank tests against its baseline, Holm-corrected.

    Arguments:
        times: variant, time, event, budget.
        baselines: variant -> the one that it is tested against; NaN stands where it has none.
    """
    groups = {variant: (time, event) for variant, time, event in _groups(times)}
    # Restricted means compare only up to a time that every run could reach.
    horizon = float(times["budget"].min()) if len(times) else math.nan
    rows = []
    for variant, (time, event) in groups.items():
        interval = stats.restricted_mean_interval(time, event, horizon)
        other = groups.get(baselines.get(variant, ""))
        row: dict[str, object] = {"variant": variant, "n": len(time), "events": int(event.sum())}
        row |= {"rmst": stats.restricted_mean(time, event, horizon)}
        row |= {"rmst_low": interval.low, "rmst_high": interval.high, "median": _median(time, event)}
        rows.append(row | {"p": math.nan if other is None else stats.log_rank([(time, event), other])})
    frame = pd.DataFrame(rows, columns=list(TEST_COLUMNS))
    frame["p_holm"] = stats.holm(frame["p"].to_numpy(dtype=np.float64))
    return frame


def _median(time: np.ndarray, event: np.ndarray) -> float:
    """The first time at which half of the runs have had the event; NaN if fewer have."""
    curve = stats.kaplan_meier(time, event)
    below = np.flatnonzero(curve.survival <= 0.5)
    return float(curve.time[below[0]]) if below.size else math.nan


def _groups(times: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for variant, rows in times.groupby("variant", sort=False, observed=True):
        yield str(variant), rows["time"].to_numpy(dtype=np.float64), rows["event"].to_numpy(dtype=bool)
