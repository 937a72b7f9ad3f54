"""How a sweep's outcome depends on the swept options."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ganbench.stats.intervals import Interval, wilson


def stable_volume(cells: np.ndarray, stable: np.ndarray, level: float = 0.95) -> tuple[float, Interval]:
    """Share of the swept volume that trains stably, and its interval.

    Every cell of the grid weighs the same, whatever its number of runs. Seeds of a cell resemble one another,
    so the interval is Wilson's for as many independent runs as have the variance between cells that is seen
    (the design effect of Kish 1965), never more than there are runs.

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
    effective = float(stable.size)
    if 0 < share < 1 and count > 1:
        variance = float(shares.var(ddof=1)) / count
        effective = min(effective, share * (1 - share) / variance) if variance else effective
    return share, _wilson_of(share, effective, level)


class Effect(NamedTuple):
    """What one swept option does on average over the others.

    Arguments:
        values: its values, ascending.
        stable: share of stable runs at each.
        share_spread: largest less smallest of these shares.
        importance: share of the variance between cells that the option explains by itself, 0 to 1
            (first-order index of Sobol' 1993); NaN where all cells are alike.
        importance_of_rank: the same for the rank of the metric.
    """

    values: np.ndarray
    stable: np.ndarray
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
    ranks = rankdata(values)
    _, cell = np.unique(points, axis=0, return_inverse=True)
    effects = []
    for column in points.T:
        levels, at = np.unique(column, return_inverse=True)
        shares = np.bincount(at, stable) / np.bincount(at)
        effects.append(
            Effect(
                levels,
                shares,
                float(np.ptp(shares)),
                _explained(cell, at, stable),
                _explained(cell, at, ranks),
            )
        )
    return effects


def _explained(cell: np.ndarray, level: np.ndarray, outcome: np.ndarray) -> float:
    """Variance of the means by level over that of the means by cell."""
    cell = cell.ravel()
    means = np.bincount(cell, outcome) / np.bincount(cell)
    own = np.zeros(means.size, dtype=np.int64)
    own[cell] = level
    by_level = np.bincount(own, means) / np.bincount(own)
    total = float(((means - means.mean()) ** 2).sum())
    return float(((by_level[own] - means.mean()) ** 2).sum() / total) if total > 1e-12 else math.nan


def _wilson_of(share: float, n: float, level: float) -> Interval:
    """Wilson's interval of a share among a number of runs that need not be whole."""
    if share in (0.0, 1.0):
        whole = max(1, round(n))
        return wilson(round(share * whole), whole, level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
