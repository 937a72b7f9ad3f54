"""Scores of many runs as a whole distribution."""

from __future__ import annotations

import numpy as np


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
