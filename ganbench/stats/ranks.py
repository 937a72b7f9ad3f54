"""Two samples compared by ranks: which of them is smaller, by how much, and whether that can be chance."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.intervals import Interval, effective_number, score_interval

EXACT_UP_TO = 60
"""Largest number of values, both sides together, with an exact permutation distribution."""


class RankTest(NamedTuple):
    """The result of a rank test.

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
    """P(X < Y) + P(X = Y) / 2 (Mann and Whitney 1947; Vargha and Delaney 2000). NaN if one is empty.

    Raises ValueError for NaN among the values: it has no rank. A failed run is infinite.
    """
    x, y = _ranked(x), _ranked(y)
    return float(_placements(x, y).sum() / (x.size * y.size)) if x.size and y.size else math.nan


def superiority_interval(x: np.ndarray, y: np.ndarray, level: float = 0.95) -> Interval:
    """Interval of `superiority`: Wilson's, of the variance of the placements (DeLong et al. 1988).

    That is, for the number of independent pairs that would have this variance, between half of the smaller
    sample and both together; the smaller sample where there is no variance. So it never has length 0, not
    even where the samples are fully apart. NaN if one is empty. Raises as `superiority`.
    """
    x, y = _ranked(x), _ranked(y)
    effect, least = superiority(x, y), min(x.size, y.size)
    if math.isnan(effect):
        return Interval(math.nan, math.nan)
    sides = (_placements(x, y) / y.size, _placements(y, x) / x.size)
    variance = sum(float(side.var(ddof=1)) / side.size for side in sides) if least > 1 else 0.0
    # bounds, because the variance of a few placements is itself uncertain
    n = min(max(effective_number(effect, variance, least), least / 2), x.size + y.size)
    return score_interval(effect, n, NormalDist().inv_cdf(0.5 + level / 2))


def mann_whitney(x: np.ndarray, y: np.ndarray) -> RankTest:
    """Two-sided test that X and Y are equally distributed (Mann and Whitney 1947).

    With up to 60 values it is exact, with ties too: the distribution of the rank sum over all divisions
    of the values that there are. Beyond, the normal approximation, corrected for ties. p is 1 where all
    values are tied, NaN where one side is empty. Raises as `superiority`.
    """
    x, y = _ranked(x), _ranked(y)
    effect = superiority(x, y)
    if math.isnan(effect):
        return RankTest(math.nan, effect, False, "none")
    ranks = _doubled_ranks(np.concatenate([x, y]))
    expected = x.size * (x.size + y.size + 1)  # of the doubled rank sum of x, where neither side is smaller
    distance = abs(int(ranks[: x.size].sum()) - expected)
    if ranks.size <= EXACT_UP_TO:
        chances = _rank_sums(tuple(np.sort(ranks).tolist()), x.size)
        as_far = np.abs(np.arange(chances.size) - expected) >= distance
        return RankTest(min(1.0, float(chances[as_far].sum())), effect, True, "exact Mann-Whitney")
    variance = x.size * y.size / (ranks.size * (ranks.size - 1)) * float(((ranks - ranks.mean()) ** 2).sum())
    z = max(0.0, distance - 1) / math.sqrt(variance) if variance else 0.0  # 1: continuity, in doubled ranks
    return RankTest(min(1.0, 2 * NormalDist().cdf(-z)), effect, False, "Mann-Whitney, normal approximation")


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Twice the rank of each value: whole numbers, though ties share a mean rank."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1


def least_p(n: int, m: int) -> float:
    """The smallest two-sided p-value of a rank test of n against m values: with fully separated samples."""
    return min(1.0, 2 / math.comb(n + m, n)) if n and m else math.nan


# samples of equal sizes without ties have the same ranks, so pairs of variants share one distribution
@lru_cache(maxsize=256)
def _rank_sums(ranks: tuple[int, ...], n: int) -> np.ndarray:
    """Probability of each sum of n of the ranks, all choices being equally likely.

    Arguments:
        ranks: ascending whole numbers.
    """
    largest = sum(ranks[-n:])
    # choices[k, s]: in how many ways k of the ranks so far sum up to s; row by row as in the subset-sum
    # recurrence choices(k, s) = choices without the rank(k, s) + choices without it(k - 1, s - rank)
    # floats: counts reach C(60, 30) = 1.2e17, and their rounding is far below any p that matters
    choices = np.zeros((n + 1, largest + 1))
    choices[0, 0] = 1.0
    for rank in ranks:
        with_rank = choices[:-1, : largest + 1 - rank].copy()  # from before this rank: it is taken once
        choices[1:, rank:] += with_rank
    probabilities: np.ndarray = choices[n] / choices[n].sum()
    return probabilities


def _placements(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """For each of x, how many of y are above it; ties count half."""
    ordered = np.sort(y)
    return y.size - (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / 2


def _ranked(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("NaN has no rank; the value of a failed run is infinite")
    return values
