"""Statistics as pure functions on arrays: no rows, no plots, no randomness of their own.

Infinite values are legal: a failed run ranks worst, so its value is inf or -inf, never left out.
Intervals come from an explicit `numpy.random.Generator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]
"""From values of shape (..., n) to a statistic of shape (...)."""
_BLOCKS = 40  # of a window of the running median


class Interval(NamedTuple):
    """Both ends of an interval; NaN where there are too few values for one."""

    low: float
    high: float


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a rate, from k cases among n (Wilson 1927). (0, 1) for n = 0."""
    if not 0 <= k <= n:
        raise ValueError(f"there cannot be {k} cases among {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = k / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Interval(low, high)


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis; NaN where both inf and -inf occur, or nothing."""
    return _weighted(values, _equal)


def median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis; infinite where the middle is. NaN where there is nothing."""
    return _weighted(values, _middle)


def iqm(values: np.ndarray) -> np.ndarray:
    """Interquartile mean over the last axis: the mean of the middle half (Agarwal et al. 2021).

    Where n is no multiple of 4, the values at the two edges of the middle half count in part. It is
    infinite as soon as more than a quarter of the values are.
    """
    return _weighted(values, _middle_half)


def bootstrap_interval(
    values: np.ndarray,
    statistic: Statistic,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of `statistic` over a vector of n values, infinite ones included.

    At n = 5 its coverage is .84 instead of .95, at n = 10 it is .93: always print n beside it.
    Fewer than two values say nothing of their spread: both ends are then NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return Interval(math.nan, math.nan)
    draws = generator.integers(values.size, size=(resamples, values.size))
    ordered = np.sort(statistic(values[draws]))
    tail = (1 - level) / 2 * (resamples - 1)
    # No interpolation: between two infinities it would be NaN.
    return Interval(float(ordered[math.floor(tail)]), float(ordered[resamples - 1 - math.floor(tail)]))


def _weighted(values: np.ndarray, weigh: Callable[[int], np.ndarray]) -> np.ndarray:
    """The weighted mean of the sorted values of the last axis. Those of no weight may be infinite."""
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    if ordered.shape[-1] == 0:
        return np.full(ordered.shape[:-1], np.nan)
    weights = weigh(ordered.shape[-1])
    kept = np.flatnonzero(weights)
    with np.errstate(invalid="ignore"):
        return np.asarray((ordered[..., kept] * weights[kept]).sum(axis=-1) / weights.sum())


def _equal(n: int) -> np.ndarray:
    return np.ones(n)


def _middle(n: int) -> np.ndarray:
    weights = np.zeros(n)
    weights[[(n - 1) // 2, n // 2]] = 1.0
    return weights


def _middle_half(n: int) -> np.ndarray:
    """How many quarters of each of n equal pieces of [0, 1] lie in [1/4, 3/4]."""
    return np.diff(np.clip(np.arange(n + 1) * 4, n, 3 * n)).astype(np.float64)


def running_median(values: np.ndarray, window: int, history: int) -> np.ndarray:
    """For each step, the median over about `window` steps before it; NaN before `history` steps.

    Taken as the median of the medians of 40 blocks, all of them complete before the step: 100 times
    cheaper than the exact one, and a step is never compared with itself. Non-finite values are skipped.
    """
    block = max(1, window // _BLOCKS)
    count = len(values) // block
    out = np.full(len(values), np.nan)
    if count == 0:
        return out
    blocks = np.sort(values[: count * block].reshape(count, block), axis=1)[:, (block - 1) // 2]
    padded = np.concatenate([np.full(_BLOCKS - 1, np.nan), blocks])
    medians = _sorted_median(np.lib.stride_tricks.sliding_window_view(padded, _BLOCKS))
    before = np.arange(len(values)) // block - 1
    ready = before >= max(0, -(-history // block) - 1)
    out[ready] = medians[before[ready]]
    return out


def _sorted_median(rows: np.ndarray) -> np.ndarray:
    """Lower median of each row without its NaN (numpy sorts them last); NaN where there is nothing else."""
    counts = (~np.isnan(rows)).sum(axis=1)
    middle = np.maximum(counts - 1, 0) // 2
    return np.take_along_axis(np.sort(rows, axis=1), middle[:, None], axis=1)[:, 0]


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(start), int(stop) - 1) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def first_stretch(flags: np.ndarray, length: int) -> tuple[int, int] | None:
    """First and last index of the first run of at least `length` true flags."""
    return next((found for found in stretches(flags) if found[1] - found[0] + 1 >= length), None)


def bridged(flags: np.ndarray, gap: int) -> np.ndarray:
    """The flags with every run of fewer than `gap` false ones between two true ones made true."""
    filled = flags.copy()
    for first, last in stretches(~flags):
        if first > 0 and last < flags.size - 1 and last - first + 1 < gap:
            filled[first : last + 1] = True
    return filled


def autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags 0 to n - 1, after a straight line is taken away; each lag by its own count.

    1 at lag 0, and NaN everywhere where nothing is left beside the line.
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    if n == 0:
        return values
    time = np.arange(n) - (n - 1) / 2
    scale = np.abs(values).max()
    rest = (values - values.mean()) / (scale or 1.0)
    rest = rest - time * (time @ rest) / (time @ time or 1.0)
    if float(rest @ rest) <= n * 1e-24:  # rounding
        return np.full(n, np.nan)
    power = np.abs(np.fft.rfft(rest, 2 * n)) ** 2
    products = np.fft.irfft(power, 2 * n)[:n] / np.arange(n, 0, -1)
    return np.asarray(products / products[0])


def first_reached(steps: np.ndarray, values: np.ndarray, threshold: float, direction: str) -> int | None:
    """The first of `steps`, which ascend, at which a value is at least as good as the threshold."""
    good = values >= threshold if direction == "higher" else values <= threshold
    return int(steps[np.argmax(good)]) if good.any() else None
