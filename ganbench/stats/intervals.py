"""Intervals of rates and of statistics over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
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


class MedianInterval(NamedTuple):
    """Two order statistics around a median, and the probability with which they hold it."""

    low: float
    high: float
    level: float


_UNKNOWN = Interval(math.nan, math.nan)


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a rate, from k cases among n (Wilson 1927). (0, 1) for n = 0."""
    if not 0 <= k <= n:
        raise ValueError(f"there cannot be {k} cases among {n}")
    # without observations every rate is possible
    if n == 0:
        return Interval(0.0, 1.0)
    return score_interval(k / n, n, NormalDist().inv_cdf(0.5 + level / 2))


def score_interval(share: float, n: float, z: float) -> Interval:
    """Wilson's interval of a share among n independent observations; n need not be whole (Wilson 1927).

    Arguments:
        z: the quantile of the normal distribution, or of Student's t where n is estimated.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # the ends are exactly 0 and 1 there; rounding would leave 1e-17
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(low, high)


def effective_number(share: float, variance: float, unseen: float) -> float:
    """How many independent observations give a share this variance (Kish 1965; Korn and Graubard 1998).

    Arguments:
        unseen: the answer where no variance was seen: a share of 0 or 1, or a variance of 0.
    """
    return share * (1 - share) / variance if 0 < share < 1 and variance > 0 else unseen


def bootstrap_interval(
    values: np.ndarray,
    statistic: Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of `statistic` over a vector of n values, infinite ones included.

    It is too narrow at small n: print n with it. Both ends are NaN below two values, which have no spread
    (Efron 1979).
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return _UNKNOWN
    resampled = values[generator.integers(values.size, size=(resamples, values.size))]
    return _between(np.sort(statistic(resampled)), (1 - level) / 2, (1 + level) / 2)


def median_interval(values: np.ndarray, level: float = 0.95) -> MedianInterval:
    """The narrowest pair of order statistics that holds the true median at this level (Thompson 1936).

    The k-th smallest and the k-th largest of n values hold it with probability 1 - 2 P(B < k), B binomial
    of n and 1/2, whatever continuous law the values follow; ties only raise it. Below 6 values even the
    smallest and the largest hold it less often than 95%: the level says how often. NaN below two values.
    """
    from scipy.special import bdtr

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = ordered.size
    if n < 2:
        return MedianInterval(math.nan, math.nan, math.nan)
    held = 1 - 2 * bdtr(np.arange(n // 2), n, 0.5)  # by the first, second, ... pair from outside
    k = max(int((held >= level).sum()) - 1, 0)
    return MedianInterval(float(ordered[k]), float(ordered[n - 1 - k]), float(held[k]))


def iqm_interval(values: np.ndarray, generator: np.random.Generator, level: float = 0.95) -> Interval:
    """Interval of the interquartile mean: winsorised variance (Tukey and McLaughlin 1963) and bootstrap.

    The smallest interval that contains two others. The one by Student's t, from the winsorised variance, is
    wide enough at small n, but not where values are tied (counts of modes) or fall into groups. The
    percentile bootstrap is the other way round (docs/statistics.md). It ends at the metric's apparent bounds:
    at 0 if no value lies beyond 0, and at the smallest or largest value if two values share it.

    It is infinite at one end where a few runs failed and a failure rate over a quarter, which makes the
    interquartile mean infinite, cannot be ruled out. Where over a quarter failed, it is the bootstrap alone.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, cut = ordered.size, ordered.size // 4
    if n < 2:
        return _UNKNOWN
    resampled = bootstrap_interval(ordered, iqm, generator, level)
    inner = ordered[cut : n - cut]
    if not np.isfinite(inner).all():
        return resampled
    # Tukey and McLaughlin 1963: s_w sqrt(n) / h with h = n / 2 values in the middle half; the degrees of
    # freedom are one less than the values that are not trimmed completely
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
    """Apparent bounds of a metric, from its sorted values: a value that repeats, else 0 if all lie beyond."""
    least, most = -math.inf, math.inf
    if ordered[0] == ordered[1]:
        least = float(ordered[0])
    elif ordered[0] >= 0:
        least = 0.0
    if ordered[-1] == ordered[-2]:
        most = float(ordered[-1])
    elif ordered[-1] <= 0:
        most = 0.0
    return Interval(least, most)


def _between(ordered: np.ndarray, low: float, high: float) -> Interval:
    """Two quantiles of sorted values, without interpolation: between two infinities it would be NaN."""
    last = ordered.size - 1
    return Interval(float(ordered[math.floor(low * last)]), float(ordered[math.ceil(high * last)]))
