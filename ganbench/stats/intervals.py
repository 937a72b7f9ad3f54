"""Intervals of rates and of statistics over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.central import iqm

Statistic = Callable[[np.ndarray], np.ndarray]
"""From values of shape (..., n) to a statistic of shape (...)."""


class Interval(NamedTuple):
    """Both ends of an interval; NaN where there are too few values for one."""

    low: float
    high: float


_UNKNOWN = Interval(math.nan, math.nan)


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a rate, from k cases among n (Wilson 1927). (0, 1) for n = 0."""
    _check_cases(k, n)
    return score_interval(k / n, n, NormalDist().inv_cdf(0.5 + level / 2)) if n else Interval(0.0, 1.0)


def score_interval(share: float, n: float, z: float) -> Interval:
    """Wilson's interval of a share among n independent observations; n need not be whole (Wilson 1927).

    Arguments:
        z: the quantile of the normal distribution, or of Student's t where n is estimated.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(low, high)


def effective_number(share: float, variance: float, unseen: float) -> float:
    """As many independent observations have a share of this variance (Kish 1965; Korn and Graubard 1998).

    Arguments:
        unseen: the answer where no variance was seen: a share of 0 or 1, or a variance of 0.
    """
    return share * (1 - share) / variance if 0 < share < 1 and variance > 0 else unseen


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a rate, from k cases among n: never too narrow (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    _check_cases(k, n)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Interval(low, high)


def bootstrap_interval(
    values: np.ndarray,
    statistic: Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of `statistic` over a vector of n values, infinite ones included.

    It is too narrow at small n: print n beside it. Fewer than two values say nothing of their spread: both
    ends are then NaN (Efron 1979).
    """
    return stratified_interval([values], lambda one: statistic(one[0]), generator, level, resamples)


def stratified_interval(
    strata: Sequence[np.ndarray],
    statistic: Callable[[Sequence[np.ndarray]], np.ndarray],
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval, each stratum resampled by itself (Agarwal et al. 2021, section 4.1).

    Arguments:
        strata: vectors of values, one a task.
        statistic: from as many arrays of shape (resamples, n of the stratum) to (resamples,).
    """
    arrays = [np.asarray(values, dtype=np.float64) for values in strata]
    if min((array.size for array in arrays), default=0) < 2:
        return _UNKNOWN
    drawn = [array[generator.integers(array.size, size=(resamples, array.size))] for array in arrays]
    return _between(np.sort(statistic(drawn)), (1 - level) / 2, (1 + level) / 2)


def bca_interval(
    values: np.ndarray,
    statistic: Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Bootstrap interval, corrected for bias and skewness (Efron 1987, BCa).

    The percentile interval where the correction is not defined: constant or infinite values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return _UNKNOWN
    ordered = np.sort(statistic(values[generator.integers(values.size, size=(resamples, values.size))]))
    estimate = statistic(values)
    left_out = np.array([statistic(np.delete(values, i)) for i in range(values.size)])
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    with np.errstate(invalid="ignore"):
        spread = left_out.mean() - left_out
    below = ((ordered < estimate).mean() + (ordered <= estimate).mean()) / 2
    if np.isfinite(spread).all() and spread.any() and 0 < below < 1:
        normal = NormalDist()
        bias = normal.inv_cdf(float(below))
        acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
        quantiles = [bias + normal.inv_cdf(float(tail)) for tail in tails]
        tails = np.array([normal.cdf(bias + q / (1 - acceleration * q)) for q in quantiles])
    return _between(ordered, float(tails[0]), float(tails[1]))


def iqm_interval(values: np.ndarray, generator: np.random.Generator, level: float = 0.95) -> Interval:
    """Interval of the interquartile mean: winsorised variance (Tukey and McLaughlin 1963) and bootstrap.

    It holds two intervals. That of Student's t, of the values that are not trimmed whole, for the n / 2 that
    count, is wide enough at small n, but not where values are tied (counts of modes) or fall into groups.
    The percentile bootstrap is the other way round (docs/statistics.md). It ends at bounds of the metric: at
    0 where no value lies beyond, and at an end at which two values are tied.

    Where a few runs failed it may have no end: that over a quarter fail, which makes the interquartile mean
    infinite, cannot be ruled out. Where over a quarter did, the bootstrap stands alone.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, cut = ordered.size, ordered.size // 4
    if n < 2:
        return _UNKNOWN
    resampled = bootstrap_interval(ordered, iqm, generator, level)
    inner = ordered[cut : n - cut]
    if not np.isfinite(inner).all():
        return resampled
    winsorised = np.concatenate([np.full(cut, inner[0]), inner, np.full(cut, inner[-1])])
    error = winsorised.std(ddof=1) * math.sqrt(n) / (n / 2)
    half = student(level, inner.size - 1) * error
    centre = float(iqm(ordered))
    least, most = _bounds(ordered)
    ends = [max(centre - half, least), min(centre + half, most), *resampled]
    return Interval(float(min(ends)), float(max(ends)))


def student(level: float, freedom: int) -> float:
    """How many standard errors a two-sided interval reaches to either side (Student 1908)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2))


def _bounds(ordered: np.ndarray) -> Interval:
    """What a metric seems to be bounded by, from its sorted values."""
    least = ordered[0] if ordered[0] == ordered[1] else 0.0 if ordered[0] >= 0 else -math.inf
    most = ordered[-1] if ordered[-1] == ordered[-2] else 0.0 if ordered[-1] <= 0 else math.inf
    return Interval(float(least), float(most))


def _between(ordered: np.ndarray, low: float, high: float) -> Interval:
    """Two quantiles of sorted values, without interpolation: between two infinities it would be NaN."""
    last = ordered.size - 1
    return Interval(float(ordered[math.floor(low * last)]), float(ordered[math.ceil(high * last)]))


def _check_cases(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"there cannot be {k} cases among {n}")
