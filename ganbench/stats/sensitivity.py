"""How a sweep's outcome depends on the swept options."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.intervals import Interval, effective_number, score_interval


def stable_volume(cells: np.ndarray, stable: np.ndarray, level: float = 0.95) -> tuple[float, Interval]:
    """Share of the swept volume that trains stably, and its interval.

    Every cell of the grid weighs the same, whatever its number of runs. Seeds of a cell resemble one another,
    so the interval is Wilson's for the number of independent runs that would give the observed variance
    between cells (the design effect of Kish 1965), at most the number of runs. If all runs are stable, or
    none, the similarity of seeds is unknown: each cell then counts once.

    Arguments:
        cells: (n,), which point of the grid each run belongs to.
        stable: (n,) flags.
    """
    stable = np.asarray(stable, dtype=np.float64)
    if stable.size == 0:
        return math.nan, Interval(math.nan, math.nan)
    _, index = np.unique(np.asarray(cells), return_inverse=True)
    shares = np.bincount(index, stable) / np.bincount(index)
    share, count = float(shares.mean()), shares.size
    variance = float(shares.var(ddof=1)) / count if count > 1 else 0.0
    unseen = stable.size if 0 < share < 1 or count == 1 else count
    n = min(effective_number(share, variance, unseen), stable.size)
    return share, score_interval(share, n, NormalDist().inv_cdf(0.5 + level / 2))


class Effect(NamedTuple):
    """What one swept option does on average over the others.

    Arguments:
        values: its values, ascending.
        stable: share of stable runs at each.
        ranks: mean rank of the metric at each, from 0 (best) to 1; failed runs rank worst.
        share_spread: largest less smallest of the shares.
        importance: share of the variance between cells that the option alone explains, 0 to 1
            (first-order index of Sobol' 1993); NaN if all cells are alike. An option without any effect
            gets (values - 1) / (cells - 1) by chance.
        importance_of_rank: the same for the rank of the metric.
    """

    values: np.ndarray
    stable: np.ndarray
    ranks: np.ndarray
    share_spread: float
    importance: float
    importance_of_rank: float


def marginal_effects(points: np.ndarray, stable: np.ndarray, values: np.ndarray) -> list[Effect]:
    """The effect of each swept option (Hutter et al. 2014, functional ANOVA, on a full grid).

    Arguments:
        points: (n, d) values of the d swept options of each run.
        stable: (n,) flags.
        values: (n,) of a metric, infinite where a run failed; lower is better.
    """
    from scipy.stats import rankdata

    points, stable = np.asarray(points, dtype=np.float64), np.asarray(stable, dtype=np.float64)
    # mid-ranks in (0, 1), so that an infinite value counts as worst and not as infinitely bad
    ranks = (rankdata(values) - 0.5) / len(points)
    _, cell = np.unique(points, axis=0, return_inverse=True)
    effects = []
    for column in points.T:
        levels, at = np.unique(column, return_inverse=True)
        shares, means = (np.bincount(at, outcome) / np.bincount(at) for outcome in (stable, ranks))
        effects.append(
            Effect(
                levels,
                shares,
                means,
                float(np.ptp(shares)),
                _explained(cell, at, stable),
                _explained(cell, at, ranks),
            )
        )
    return effects


def _explained(cell: np.ndarray, level: np.ndarray, outcome: np.ndarray) -> float:
    """Variance of the means by level over that of the means by cell."""
    cell = cell.ravel()  # numpy 2.0 returns the inverse in another shape
    means = np.bincount(cell, outcome) / np.bincount(cell)
    level_of_cell = np.zeros(means.size, dtype=np.int64)
    level_of_cell[cell] = level
    by_level = np.bincount(level_of_cell, means) / np.bincount(level_of_cell)
    total = float(((means - means.mean()) ** 2).sum())
    if total <= 1e-12:  # rounding
        return math.nan
    return float(((by_level[level_of_cell] - means.mean()) ** 2).sum() / total)
