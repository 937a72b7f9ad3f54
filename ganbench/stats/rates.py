"""Two failure rates."""

from __future__ import annotations

from functools import cache

EXACT_UP_TO = 100
"""Cases of both sides together up to which Barnard's test is feasible."""


@cache
def rates_differ(k: int, n: int, other_k: int, other_n: int) -> float:
    """Two-sided p-value that two rates are equal, k of n and other_k of other_n (Barnard 1945).

    Barnard's exact unconditional test; for more than 100 cases together Fisher's, which is never too small.
    """
    from scipy.stats import barnard_exact, fisher_exact

    if not (0 <= k <= n and 0 <= other_k <= other_n):
        raise ValueError(f"there cannot be {k} cases among {n}, or {other_k} among {other_n}")
    if min(n, other_n) == 0 or k * other_n == other_k * n:
        return 1.0
    table = [[k, other_k], [n - k, other_n - other_k]]
    if n + other_n > EXACT_UP_TO:
        return float(fisher_exact(table)[1])
    return float(min(1.0, barnard_exact(table).pvalue))
