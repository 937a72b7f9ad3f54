"""Correction of p-values for multiple tests."""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number, step by step (Holm 1979). NaN stay NaN and are not counted."""
    p = np.asarray(p, dtype=np.float64)
    corrected = np.full(p.shape, np.nan)
    order = np.argsort(p)  # NaN last
    order = order[~np.isnan(p[order])]
    # the k-th smallest p is multiplied by the number of hypotheses that are not rejected before it
    left = order.size - np.arange(order.size)
    # the running maximum keeps the order: a larger p never gets a smaller corrected one
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(left * p[order]))
    return corrected
