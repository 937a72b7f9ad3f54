from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganbench import stats


def mean(values):
    return np.mean(values, axis=-1)


VALUES = hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e6, 1e6))


@settings(deadline=None)  # the first call of scipy's is slow
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_scipys(case, level):
    k, n = case
    low, high = stats.wilson(k, n, level)
    reference = scipy.stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_of_no_failure_in_ten():
    low, high = stats.wilson(0, 10)
    assert low == 0
    assert high == pytest.approx(0.2775, abs=1e-4)


def test_wilson_of_nothing_knows_nothing_and_of_nonsense_raises():
    assert stats.wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 cases among 2"):
        stats.wilson(3, 2)


@given(hnp.arrays(np.float64, st.integers(1, 6).map(lambda n: 4 * n), elements=st.floats(-1e6, 1e6)))
def test_iqm_is_the_trimmed_mean_where_n_is_a_multiple_of_four(values):
    assert stats.iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), rel=1e-12, abs=1e-9)


@given(VALUES)
def test_iqm_is_the_trimmed_mean_of_every_value_taken_four_times(values):
    fourfold = scipy.stats.trim_mean(np.repeat(values, 4), 0.25)
    assert stats.iqm(values) == pytest.approx(fourfold, rel=1e-9, abs=1e-9)


@given(VALUES)
def test_median_is_numpys(values):
    assert stats.median(values) == pytest.approx(np.median(values), rel=1e-12)


@pytest.mark.parametrize(("failed", "finite"), [(0, True), (2, True), (3, False), (10, False)])
def test_iqm_of_ten_tolerates_two_failures(failed, finite):
    values = np.array([np.inf] * failed + [1.0] * (10 - failed))
    assert np.isfinite(stats.iqm(values)) == finite
    assert np.isfinite(stats.iqm(-values)) == finite
    assert not np.isnan(stats.iqm(values))


def test_statistics_along_the_last_axis_and_of_nothing():
    grid = np.array([[3.0, 1.0, 2.0, np.inf], [0.0, 0.0, 4.0, 4.0]])
    assert stats.median(grid).tolist() == [2.5, 2.0]
    assert stats.iqm(grid).tolist() == [2.5, 2.0]
    for statistic in (stats.median, stats.iqm):
        assert np.isnan(statistic(np.array([])))


@pytest.mark.parametrize("n", [5, 10, 30])
def test_bootstrap_interval_agrees_with_scipys_percentile(n):
    values = np.random.default_rng(n).lognormal(size=n)
    low, high = stats.bootstrap_interval(values, mean, np.random.default_rng(1), resamples=20_000)
    reference = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    spread = reference.high - reference.low
    assert low == pytest.approx(reference.low, abs=0.03 * spread)
    assert high == pytest.approx(reference.high, abs=0.03 * spread)


def test_bootstrap_interval_covers_as_known_for_ten_values():
    """FACTS: the percentile interval at a nominal .95 covers .93 of the time at n = 10."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        low, high = stats.bootstrap_interval(generator.normal(size=10), mean, generator, resamples=400)
        hits += low <= 0 <= high
    assert 0.86 < hits / 400 < 0.96


def test_bootstrap_interval_with_failures_has_no_nan():
    values = np.array([1.0, 2.0, 3.0, 4.0, np.inf, np.inf])
    low, high = stats.bootstrap_interval(values, stats.iqm, np.random.default_rng(0))
    assert 1 <= low < 4
    assert high == np.inf
    assert stats.bootstrap_interval(-values, stats.iqm, np.random.default_rng(0))[0] == -np.inf


def test_bootstrap_interval_is_the_generators_alone():
    values = np.arange(8.0)
    first, again, other = (
        stats.bootstrap_interval(values, mean, np.random.default_rng(seed), resamples=50)
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("values", [[], [3.0]])
def test_bootstrap_interval_of_fewer_than_two_values_is_unknown(values):
    assert np.isnan(stats.bootstrap_interval(np.array(values), mean, np.random.default_rng(0))).all()


def test_running_median_follows_the_exact_one_and_looks_back_only():
    walk = np.exp(np.cumsum(np.random.default_rng(0).normal(size=3000) * 0.01))
    found = stats.running_median(walk, 400, 100)
    assert np.isnan(found[:100]).all()
    assert np.isfinite(found[100:]).all()
    exact = np.array([np.median(walk[t - 400 : t]) for t in range(400, 3000)])
    assert np.abs(np.log(found[400:] / exact)).max() < 0.05
    changed = walk.copy()
    changed[2000:] = 1e9
    assert (stats.running_median(changed, 400, 100)[100:2001] == found[100:2001]).all()


def test_running_median_of_a_short_curve_is_unknown():
    assert np.isnan(stats.running_median(np.ones(30), 2000, 10)).all()
    assert stats.running_median(np.empty(0), 2000, 10).shape == (0,)


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5))
def test_first_stretch_is_the_first_that_is_long_enough(flags, length):
    text = "".join("x" if flag else "." for flag in flags)
    start = text.find("x" * length)
    found = stats.first_stretch(np.array(flags, dtype=bool), length)
    if start < 0:
        assert found is None
    else:
        stop = (text + ".").index(".", start)
        assert found == (start, stop - 1)


@pytest.mark.parametrize(
    ("flags", "gap", "expected"),
    [
        ("1101011", 2, "1111111"),
        ("1100011", 3, "1100011"),
        ("1100011", 4, "1111111"),
        ("0011010", 9, "0011110"),  # not before the first true one, nor after the last
        ("0000", 9, "0000"),
        ("", 9, ""),
    ],
)
def test_short_gaps_are_bridged(flags, gap, expected):
    given = np.array([flag == "1" for flag in flags], dtype=bool)
    assert "".join("01"[int(flag)] for flag in stats.bridged(given, gap)) == expected


@given(st.lists(st.booleans(), max_size=60))
def test_stretches_are_the_true_flags(flags):
    found = stats.stretches(np.array(flags, dtype=bool))
    again = np.zeros(len(flags), dtype=bool)
    for first, last in found:
        assert again[max(0, first - 1) : last + 1].sum() == 0, "they neither touch nor overlap"
        again[first : last + 1] = True
    assert again.tolist() == flags


def test_autocorrelation_against_its_definition():
    generator = np.random.default_rng(0)
    for n in (2, 3, 10, 57):
        values = generator.normal(size=n) + 0.3 * np.arange(n) + 1e6
        time = np.arange(n)
        rest = values - np.polyval(np.polyfit(time, values, 1), time)
        lagged = [rest[: n - lag] @ rest[lag:] / (n - lag) for lag in range(n)]
        found = stats.autocorrelation(values)
        if n == 2:  # a line through two points leaves nothing
            assert np.isnan(found).all()
        else:
            np.testing.assert_allclose(found, np.array(lagged) / lagged[0], atol=1e-5)


def test_nothing_is_periodic_about_a_straight_line():
    for values in (np.zeros(50), np.full(50, 3.7), np.arange(50) * 0.1, np.empty(0)):
        assert np.isnan(stats.autocorrelation(values)).all()
