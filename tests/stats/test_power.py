"""The power of the comparison of failure rates, against the counts that scipy's own tests give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import barnard_exact, binom

from ganbench.stats.power import detectable_rate, failure_power
from ganbench.stats.rates import rates_differ


def by_scipy(rate: float, other_rate: float, n: int) -> float:
    """The sum over all outcomes, each tested by scipy."""
    return sum(
        binom.pmf(k, n, rate) * binom.pmf(other, n, other_rate)
        for k in range(n + 1)
        for other in range(n + 1)
        if k != other and barnard_exact([[k, other], [n - k, n - other]], pooled=True).pvalue <= 0.05
    )


def test_the_power_is_the_one_that_scipy_gives():
    assert failure_power(0.1, 0.3, 10) == pytest.approx(by_scipy(0.1, 0.3, 10), abs=1e-9)


def test_the_figures_of_the_documentation():
    assert round(failure_power(0.1, 0.3, 10), 2) == 0.14


def test_equal_rates_are_called_different_in_five_percent_at_most():
    assert max(failure_power(rate, rate, 8) for rate in np.linspace(0, 1, 21)) <= 0.05


def test_extremes_are_found_for_certain():
    assert failure_power(0.0, 1.0, 10) == pytest.approx(1.0)
    assert detectable_rate(0.0, 3) is None
    found = detectable_rate(0.1, 10)
    assert found is not None
    assert failure_power(0.1, found, 10) >= 0.8 > failure_power(0.1, found - 0.01, 10)


@pytest.mark.parametrize("arguments", [(0.1, 0.3, 0), (0.1, 0.3, 101), (-0.1, 0.3, 5), (0.1, 1.3, 5)])
def test_bad_input_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        failure_power(*arguments)


@pytest.mark.slow
def test_eighty_runs_find_most_such_differences():
    counts = range(81)
    by_table = sum(
        binom.pmf(k, 80, 0.1) * binom.pmf(other, 80, 0.3)
        for k in counts
        for other in counts
        if rates_differ(k, 80, other, 80) <= 0.05
    )
    assert failure_power(0.1, 0.3, 80) == pytest.approx(by_table)
    assert round(by_table, 2) == 0.87
