"""What a number of seeds can show: the power of the test of two failure rates."""

from __future__ import annotations

from functools import cache

import numpy as np

from ganbench.stats.rates import rates_differ

MOST = 100
"""Largest n for which the power is computed: beyond it the table of all outcomes takes long."""


def failure_power(rate: float, other_rate: float, n: int, alpha: float = 0.05) -> float:
    """The chance that n against n runs find two failure rates different: the power of `rates_differ`.

    Exact: the sum over all pairs of counts that the test calls different, of their probability. For rates
    of .1 and .3 it is .14 at n = 10 and .87 at n = 80.
    """
    from scipy.stats import binom

    if not 1 <= n <= MOST:
        raise ValueError(f"n must be 1 to {MOST} (got {n})")
    if not (0 <= rate <= 1 and 0 <= other_rate <= 1 and 0 < alpha < 1):
        raise ValueError(f"rates must be 0 to 1, and alpha between (got {rate}, {other_rate}, {alpha})")
    counts = np.arange(n + 1)
    called = _called_different(n, alpha)
    return float(binom.pmf(counts, n, rate) @ called @ binom.pmf(counts, n, other_rate))


# a search for a rate asks for the same table a hundred times
@cache
def _called_different(n: int, alpha: float) -> np.ndarray:
    """Flag of each pair of counts: whether the test calls their rates different."""
    # the test is symmetric for equal n: half of the table is enough
    called = np.zeros((n + 1, n + 1), dtype=bool)
    for k, other in zip(*np.triu_indices(n + 1), strict=True):
        called[k, other] = called[other, k] = rates_differ(int(k), n, int(other), n) <= alpha
    return called


def detectable_rate(rate: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The lowest failure rate above `rate`, in percent steps, that n against n runs find with this power.

    None where not even a rate of 1 is found so often.
    """
    for percent in range(int(100 * rate) + 1, 101):
        if failure_power(rate, percent / 100, n, alpha) >= power:
            return percent / 100
    return None
