"""Survival analysis: times to an event, some of them censored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.intervals import Interval, effective_number, score_interval, student, wilson

EXACT_UP_TO = 200_000
"""Most divisions into two groups that the exact test enumerates: 10 of 20 are 184,756."""


class Survival(NamedTuple):
    """A survival curve: arrays of equal length, with one entry per time, from time 0."""

    time: np.ndarray
    at_risk: np.ndarray
    """Runs still under observation just before this time."""
    events: np.ndarray
    survival: np.ndarray
    """Estimated share without the event after this time."""
    low: np.ndarray
    high: np.ndarray


def kaplan_meier(time: np.ndarray, event: np.ndarray, level: float = 0.95) -> Survival:
    """The product-limit estimate (Kaplan and Meier 1958), log-log intervals (Kalbfleisch and Prentice 1980).

    Where the estimate is 1 or 0 these are undefined: there it is Wilson's, of all runs at risk.

    Arguments:
        time: n times, >= 0, of the event or of censoring.
        event: n flags: whether it is the event.
    """
    times, at_risk, events, survival, variance = _table(time, event)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(survival)
        half = z * np.sqrt(variance) / np.abs(log)
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    # the log-log transform is undefined at survival 1 and 0
    for index in np.flatnonzero((survival >= 1) | (survival <= 0)):
        n = int(at_risk[index])
        low[index], high[index] = wilson(n if survival[index] >= 1 else 0, n, level)
    return Survival(times, at_risk, events, survival, low, high)


def restricted_mean(time: np.ndarray, event: np.ndarray, horizon: float) -> float:
    """Mean time without the event up to `horizon`: the area under the curve (Royston and Parmar 2013)."""
    curve = kaplan_meier(time, event)
    return _area(curve.time, curve.survival, 0.0, horizon)


def restricted_mean_interval(
    time: np.ndarray, event: np.ndarray, horizon: float, level: float = 0.95
) -> Interval:
    """Interval of `restricted_mean`, within [0, horizon]: Wilson's, of Greenwood's variance (Greenwood 1926).

    The mean is treated as a share of the horizon among the number of independent runs that would give its
    variance, at least n, with Student's t. So the interval has a length even without events. The variance is
    multiplied by n / (n - 1): without censoring it is then that of the mean of n values. NaN below two
    values.
    """
    if len(time) < 2:
        return Interval(math.nan, math.nan)
    times, at_risk, events, survival, _ = _table(time, event)
    n, variance = len(time), 0.0
    for at, left, dead in zip(times, at_risk, events, strict=True):
        # once everyone has the event the curve is 0, and Greenwood's term would divide by 0
        if dead and left > dead and at < horizon:
            variance += _area(times, survival, at, horizon) ** 2 * dead / (left * (left - dead))
    share = min(1.0, _area(times, survival, 0.0, horizon) / horizon)
    effective = effective_number(share, variance / horizon**2 * n / (n - 1), n)
    low, high = score_interval(share, max(effective, n), student(level, n - 1))
    return Interval(low * horizon, high * horizon)


def log_rank(groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """p-value that all groups have one survival curve (Mantel 1966; Peto and Peto 1972).

    Exact for two small groups, over all divisions of the times into groups of these sizes (Peto and Peto
    1972, section 5; it assumes the same censoring in both, as at a common budget); else by the chi-squared
    distribution, whose p-values are too small at n = 5. 1 if there is no event or only one group.

    Arguments:
        groups: (time, event) of each.
    """
    from scipy.stats import chi2

    groups = [(np.asarray(t, dtype=np.float64), np.asarray(e, dtype=bool)) for t, e in groups if len(t)]
    if len(groups) == 2 and math.comb(sum(len(t) for t, _ in groups), len(groups[0][0])) <= EXACT_UP_TO:
        return _log_rank_exact(*groups)
    event_times = [t[e] for t, e in groups]
    excess, covariance = np.zeros(len(groups)), np.zeros((len(groups), len(groups)))
    for at in np.unique(np.concatenate([*event_times, np.empty(0)])):
        at_risk = np.array([(t >= at).sum() for t, _ in groups], dtype=np.float64)
        dead = np.array([(t == at).sum() for t in event_times], dtype=np.float64)
        n, d = at_risk.sum(), dead.sum()
        share = at_risk / n
        excess += dead - d * share
        if n > 1:
            covariance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    # the excesses of all groups sum to 0, so the covariance is singular
    rank = np.linalg.matrix_rank(covariance)
    if rank == 0:
        return 1.0
    return float(chi2.sf(excess @ np.linalg.pinv(covariance) @ excess, rank))


def _log_rank_exact(group: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Share of all divisions into groups of these sizes whose sum of scores is at least as far from 0."""
    time, event = (np.concatenate([group[part], other[part]]) for part in (0, 1))
    times, at_risk, events, _, _ = _table(time, event)
    hazard = np.cumsum(events / np.maximum(at_risk, 1))
    scores = event - hazard[np.searchsorted(times, time)]  # observed less expected
    n = len(group[0])
    sums = np.abs(scores[_divisions(len(time), n)].sum(axis=1))
    # 1e-9: equal sums in another order of addition differ in the last bits
    return float((sums >= abs(scores[:n].sum()) - 1e-9).mean())


@lru_cache(maxsize=16)
def _divisions(total: int, n: int) -> np.ndarray:
    """Every choice of n positions among `total`, one per row."""
    chosen = itertools.chain.from_iterable(itertools.combinations(range(total), n))
    return np.fromiter(chosen, dtype=np.intp).reshape(-1, n)


def _table(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, ...]:
    """Times from 0, at risk, events, survival, and Greenwood's sum: the variance of its logarithm."""
    time, event = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=bool)
    times = np.unique(np.concatenate([[0.0], time]))
    at_risk = np.array([(time >= at).sum() for at in times])
    events = np.array([((time == at) & event).sum() for at in times])
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(np.where(at_risk > 0, 1 - events / np.maximum(at_risk, 1), 1.0))
        greenwood = np.cumsum(np.where(events > 0, events / (at_risk * (at_risk - events)), 0.0))
    return times, at_risk, events, survival, greenwood


def _area(times: np.ndarray, survival: np.ndarray, start: float, stop: float) -> float:
    """The area under the step curve from start to stop."""
    # the curve keeps its last value after the last time
    edges = np.clip(np.append(times, np.inf), start, stop)
    return float((survival * np.diff(edges)).sum())
