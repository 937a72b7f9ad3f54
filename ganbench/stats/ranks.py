"""Two samples compared by ranks: which of them is smaller, by how much, and whether that can be chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.intervals import Interval

EXACT_UP_TO = 60
"""Values of both sides together up to which the permutation distribution is counted out."""


class RankTest(NamedTuple):
    """What a rank test came to.

    Arguments:
        p: two-sided.
        effect: P(X < Y) + P(X = Y) / 2.
        exact: whether p is from the exact permutation distribution, ties included.
        method: the name of the test.
    """

    p: float
    effect: float
    exact: bool
    method: str


def superiority(x: np.ndarray, y: np.ndarray) -> float:
    """P(X < Y) + P(X = Y) / 2 (Mann and Whitney 1947; Vargha and Delaney 2000). NaN if one is empty."""
    x, y = np.asarray(x, dtype=np.float64), np.sort(np.asarray(y, dtype=np.float64))
    if x.size == 0 or y.size == 0:
        return math.nan
    above = y.size - np.searchsorted(y, x, "right")
    tied = y.size - above - np.searchsorted(y, x, "left")
    return float((above + tied / 2).sum() / (x.size * y.size))


def superiority_interval(x: np.ndarray, y: np.ndarray, level: float = 0.95) -> Interval:
    """Interval of `superiority`, by the score method (Newcombe 2006, Statistics in Medicine 25, method 5).

    It never has length 0, not even where the samples are fully apart. NaN if one is empty.
    """
    n, m, effect = len(x), len(y), superiority(x, y)
    if math.isnan(effect):
        return Interval(math.nan, math.nan)
    z = NormalDist().inv_cdf(0.5 + level / 2)

    def beyond(theta: float) -> float:
        spread = (n + m) / 2 - 1
        shape = 1 + spread * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - effect) ** 2 - z * z * theta * (1 - theta) * shape / (n * m)

    low = 0.0 if effect == 0 else _crossing(beyond, 0.0, effect)
    high = 1.0 if effect == 1 else _crossing(beyond, 1.0, effect)
    return Interval(low, high)


def mann_whitney(x: np.ndarray, y: np.ndarray) -> RankTest:
    """Two-sided test that X and Y are equally distributed (Mann and Whitney 1947).

    With up to 60 values it is exact, with ties too: the distribution of the rank sum over all divisions
    of the values that there are. Beyond, the normal approximation, corrected for ties. p is 1 where all
    values are tied, NaN where one side is empty.
    """
    from scipy.stats import rankdata

    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    effect = superiority(x, y)
    if math.isnan(effect):
        return RankTest(math.nan, effect, False, "none")
    ranks = np.rint(2 * rankdata(np.concatenate([x, y]))).astype(np.int64)
    distance = abs(int(ranks[: x.size].sum()) - x.size * (x.size + y.size + 1))
    if ranks.size <= EXACT_UP_TO:
        chances = _rank_sums(tuple(np.sort(ranks).tolist()), x.size)
        apart = np.abs(np.arange(chances.size) - x.size * (x.size + y.size + 1))
        return RankTest(min(1.0, float(chances[apart >= distance].sum())), effect, True, "exact Mann-Whitney")
    variance = x.size * y.size / (ranks.size * (ranks.size - 1)) * float(((ranks - ranks.mean()) ** 2).sum())
    z = max(0.0, distance - 1) / math.sqrt(variance) if variance else 0.0  # 1: continuity, in doubled ranks
    return RankTest(min(1.0, 2 * NormalDist().cdf(-z)), effect, False, "Mann-Whitney, normal approximation")


def least_p(n: int, m: int) -> float:
    """The least two-sided p-value that a rank test of n against m values can reach: they are fully apart."""
    return min(1.0, 2 / math.comb(n + m, n)) if n and m else math.nan


@lru_cache(maxsize=256)
def _rank_sums(ranks: tuple[int, ...], n: int) -> np.ndarray:
    """Probability of each sum of n of the ranks, all choices being equally likely."""
    counts = np.zeros((n + 1, sum(ranks[-n:]) + 1))
    counts[0, 0] = 1.0
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    chances: np.ndarray = counts[n] / counts[n].sum()
    return chances


def _crossing(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Where the function changes its sign between a point outside the interval and one inside."""
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if function(middle) > 0 else (outside, middle)
    return float(inside)
