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
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = k / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Interval(low, high)


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a rate, from k cases among n: never too narrow (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    _check_cases(k, n)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
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
    """Interval of the interquartile mean, from the winsorised variance (Tukey and McLaughlin 1963).

    Student's t of the values that are not trimmed whole, for the n / 2 that count: from n = 5 on its coverage
    is near the nominal one (docs/statistics.md). It ends at bounds of the metric: at 0 where no value lies
    beyond, and at an end at which two values are tied. Where more values are infinite than are trimmed, that
    variance is too: then the percentile bootstrap.
    """
    from scipy.stats import t

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, cut = ordered.size, ordered.size // 4
    if n < 2:
        return _UNKNOWN
    inner = ordered[cut : n - cut]
    if not np.isfinite(inner).all():
        return bootstrap_interval(ordered, iqm, generator, level)
    winsorised = np.concatenate([np.full(cut, inner[0]), inner, np.full(cut, inner[-1])])
    error = winsorised.std(ddof=1) * math.sqrt(n) / (n / 2)
    half = float(t.ppf(0.5 + level / 2, inner.size - 1)) * error
    centre = float(iqm(ordered))
    least, most = _bounds(ordered)
    return Interval(max(centre - half, least), min(centre + half, most))


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
