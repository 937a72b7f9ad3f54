"""Central values over the last axis, in which infinite values are legal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis; infinite where the middle value is, NaN without values."""
    return _weighted(values, _middle)


def iqm(values: np.ndarray) -> np.ndarray:
    """Interquartile mean over the last axis: the mean of the middle half (Agarwal et al. 2021).

    Where n is no multiple of 4, the values at the two edges of the middle half count in part. It is
    infinite as soon as more than a quarter of the values are.
    """
    return _weighted(values, _middle_half)


def _weighted(values: np.ndarray, weigh: Callable[[int], np.ndarray]) -> np.ndarray:
    """The weighted mean of the sorted values of the last axis. Those of no weight may be infinite."""
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    if ordered.shape[-1] == 0:
        return np.full(ordered.shape[:-1], np.nan)
    weights = weigh(ordered.shape[-1])
    counted = np.flatnonzero(weights)  # 0 * inf would be NaN
    # the median of -inf and inf is NaN, without a warning
    with np.errstate(invalid="ignore"):
        return np.asarray((ordered[..., counted] * weights[counted]).sum(axis=-1) / weights.sum())


def _middle(n: int) -> np.ndarray:
    weights = np.zeros(n)
    weights[[(n - 1) // 2, n // 2]] = 1.0
    return weights


def _middle_half(n: int) -> np.ndarray:
    """How many quarters of each of n equal pieces of [0, 1] lie in [1/4, 3/4]."""
    return np.diff(np.clip(np.arange(n + 1) * 4, n, 3 * n)).astype(np.float64)
