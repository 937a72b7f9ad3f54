"""Variants over several tasks (Demsar 2006, JMLR 7). Scores are (tasks, variants), lower is better."""

from __future__ import annotations

import math

import numpy as np

from ganbench.stats.multiple import holm


def friedman(scores: np.ndarray) -> float:
    """p-value that all variants rank alike, by the F statistic (Friedman 1937; Iman and Davenport 1980).

    1 where they are tied everywhere, 0 where they rank alike in every task; NaN below two tasks or variants.
    """
    from scipy.stats import f, rankdata

    ranks = rankdata(scores, axis=1)
    tasks, variants = ranks.shape
    if tasks < 2 or variants < 2:
        return math.nan
    # sums of squares of ranks, between variants and in all; F of the two is Iman and Davenport's statistic
    between = tasks * ((ranks.mean(axis=0) - ranks.mean()) ** 2).sum()
    within = ((ranks - ranks.mean(axis=1, keepdims=True)) ** 2).sum()
    if within == 0:
        return 1.0
    if np.isclose(between, within):
        return 0.0
    freedom = tasks - 1
    return float(f.sf(freedom * between / (within - between), variants - 1, (variants - 1) * freedom))


def wilcoxon_holm(scores: np.ndarray) -> np.ndarray:
    """p-values of Wilcoxon's signed-rank tests, corrected by Holm (Benavoli et al. 2016).

    A (variants, variants) array. Two variants are tied in a task where both failed. The diagonal is NaN; a
    pair tied in every task has 1.
    """
    scores = np.asarray(scores, dtype=np.float64)
    variants = scores.shape[1]
    rows, columns = np.triu_indices(variants, 1)
    p = holm(np.array([_wilcoxon(scores[:, i], scores[:, j]) for i, j in zip(rows, columns, strict=True)]))
    table = np.full((variants, variants), np.nan)
    table[rows, columns] = table[columns, rows] = p
    return table


def critical_difference(tasks: int, variants: int, alpha: float = 0.05) -> float:
    """Mean ranks further apart than this differ (Nemenyi 1963; Demsar 2006, eq. after 6)."""
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - alpha, variants, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(variants * (variants + 1) / (6 * tasks)))


def _wilcoxon(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import rankdata, wilcoxon

    untied = x != y
    if not untied.any():
        return 1.0
    with np.errstate(invalid="ignore"):
        apart = x[untied] - y[untied]
    # an infinite difference is larger than any finite one; ranks are all that counts
    ranked = np.sign(apart) * rankdata(np.abs(apart))
    return float(wilcoxon(ranked).pvalue)
