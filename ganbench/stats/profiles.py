"""Scores over many runs and tasks, as whole distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganbench.stats.ranks import superiority


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, lower_is_better: bool = True
) -> np.ndarray:
    """Share of runs at least as good as each threshold (Dolan and More 2002; Agarwal et al. 2021).

    Arguments:
        scores: (runs,), infinite ones included.
        thresholds: (k,).

    Returns: (k,).
    """
    scores, thresholds = np.asarray(scores, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    good = scores <= thresholds[:, None] if lower_is_better else scores >= thresholds[:, None]
    return np.asarray(good.mean(axis=1))


def probability_of_improvement(
    scores: Sequence[np.ndarray], other: Sequence[np.ndarray], lower_is_better: bool = True
) -> float:
    """Probability that a run is better than one of the other, averaged over tasks (Agarwal et al. 2021).

    Arguments:
        scores, other: one vector of runs a task, in the same order of tasks.
    """
    sign = 1.0 if lower_is_better else -1.0
    pairs = zip(scores, other, strict=True)
    return float(np.mean([superiority(sign * np.asarray(x), sign * np.asarray(y)) for x, y in pairs]))
