"""Statistics against scipy, statsmodels and counting everything out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ganbench import stats

SMALL = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5, math.inf]), min_size=1, max_size=5)
GENERATOR = np.random.default_rng


def pairs(seed, n, m, shift=0.0):
    generator = GENERATOR(seed)
    return generator.normal(size=n), generator.normal(loc=shift, size=m)


# -- two samples


@given(SMALL, SMALL)
@settings(max_examples=80, deadline=None)
def test_superiority_and_exact_p_are_those_of_counting(x, y):
    wins = [(a < b) + (a == b) / 2 for a in x for b in y]
    found = stats.mann_whitney(x, y)
    assert found.effect == pytest.approx(np.mean(wins))
    assert found.exact
    ranks = scipy_stats.rankdata([*x, *y])
    centre = len(x) * (len(ranks) + 1) / 2
    sums = np.array([ranks[list(some)].sum() for some in itertools.combinations(range(len(ranks)), len(x))])
    far = np.abs(sums - centre) >= abs(ranks[: len(x)].sum() - centre) - 1e-9
    assert found.p == pytest.approx(far.mean())


@pytest.mark.parametrize(("n", "m"), [(3, 4), (5, 5), (10, 10), (7, 20)])
def test_without_ties_p_is_scipys(n, m):
    x, y = pairs(n, n, m, 0.8)
    expected = scipy_stats.mannwhitneyu(x, y, method="exact").pvalue
    assert stats.mann_whitney(x, y).p == pytest.approx(expected)


def test_large_samples_take_the_approximation_of_scipy():
    generator = GENERATOR(0)
    x, y = generator.integers(0, 9, 60), generator.integers(1, 10, 50)
    found = stats.mann_whitney(x, y)
    assert not found.exact
    assert found.p == pytest.approx(scipy_stats.mannwhitneyu(x, y, method="asymptotic").pvalue)


@pytest.mark.parametrize(("n", "least"), [(3, 0.1), (5, 0.0079), (10, 1e-5)])
def test_least_p(n, least):
    assert stats.least_p(n, n) == pytest.approx(least, rel=0.09)
    assert stats.mann_whitney(np.arange(n), np.arange(n) + n).p == pytest.approx(stats.least_p(n, n))


def test_all_tied_or_all_failed_is_no_difference():
    for value in (1.0, math.inf):
        found = stats.mann_whitney(np.full(5, value), np.full(5, value))
        assert (found.p, found.effect) == (1.0, 0.5)
    assert math.isnan(stats.mann_whitney(np.empty(0), np.ones(3)).p)


@pytest.mark.parametrize("failed", [0, 3])
def test_superiority_interval_solves_the_score_equation_with_the_variance_of_scipy(failed):
    x, y = pairs(1, 9, 12, 0.7)
    x[:failed] = y[:failed] = math.inf
    effect, found = stats.superiority(x, y), stats.superiority_interval(x, y)
    # Brunner and Munzel's statistic is (effect - 1/2) in standard errors
    variance = ((effect - 0.5) / scipy_stats.brunnermunzel(x, y).statistic) ** 2
    for theta in found:
        widened = variance * theta * (1 - theta) / (effect * (1 - effect))
        assert abs(theta - effect) == pytest.approx(1.959964 * math.sqrt(widened), rel=1e-5)


@given(SMALL, SMALL)
@settings(deadline=None)
def test_superiority_interval_holds_its_estimate_and_turns_with_its_sides(x, y):
    found, turned = stats.superiority_interval(x, y), stats.superiority_interval(y, x)
    assert 0 <= found.low <= stats.superiority(x, y) <= found.high <= 1
    assert found.high - found.low > 0.2
    assert (1 - turned.high, 1 - turned.low) == pytest.approx(tuple(found))


@pytest.mark.parametrize(
    "function",
    [stats.superiority, stats.superiority_interval, stats.mann_whitney],
    ids=lambda one: one.__name__,
)
def test_nan_has_no_rank(function):
    with pytest.raises(ValueError, match="NaN has no rank"):
        function(np.array([1.0, math.nan]), np.ones(3))


def test_superiority_interval_has_a_length_where_samples_are_apart():
    low, high = stats.superiority_interval(np.arange(5), np.arange(5) + 9)
    assert high == 1.0
    assert 0.5 < low < 0.8
    assert stats.superiority_interval(np.arange(5) + 9, np.arange(5)) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("n", "m"), [(3, 5), (5, 5), (5, 10), (7, 4)])
def test_rates_differ_is_barnards_over_all_tables_and_many_rates(n, m):
    def score(k, other):
        pooled = (k + other) / (n + m)
        return abs(k / n - other / m) / math.sqrt(pooled * (1 - pooled) or 1.0)

    tables = list(itertools.product(range(n + 1), range(m + 1)))
    rates = np.linspace(0, 1, 4001)
    chance = {
        (k, j): scipy_stats.binom.pmf(k, n, rates) * scipy_stats.binom.pmf(j, m, rates) for k, j in tables
    }
    for k, j in tables:
        if k * m != j * n:
            expected = sum(chance[t] for t in tables if score(*t) >= score(k, j) - 1e-9).max()
            assert stats.rates_differ(k, n, j, m) == pytest.approx(min(1, expected), abs=1e-5)


def test_scipys_barnard_is_never_larger():
    for k, n, j, m in [(0, 10, 5, 10), (1, 5, 8, 10), (4, 5, 3, 10), (2, 20, 11, 20)]:
        assert (
            stats.rates_differ(k, n, j, m) > scipy_stats.barnard_exact([[k, j], [n - k, m - j]]).pvalue - 1e-4
        )


def test_rates_differ_at_its_ends():
    assert stats.rates_differ(0, 10, 5, 10) == pytest.approx(0.013, abs=1e-3)
    assert stats.rates_differ(3, 10, 3, 10) == stats.rates_differ(0, 0, 1, 2) == 1.0
    expected = scipy_stats.fisher_exact([[30, 10], [50, 70]])[1]
    assert stats.rates_differ(30, 80, 10, 80) == pytest.approx(expected)
    with pytest.raises(ValueError, match="4 cases among 3"):
        stats.rates_differ(4, 3, 0, 1)


# -- many tests


def test_holm_is_that_of_statsmodels():
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    for seed in range(5):
        p = GENERATOR(seed).random(9) ** 3
        np.testing.assert_allclose(stats.holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(stats.holm([0.02, math.nan, 0.01]), [0.02, math.nan, 0.02])


# -- intervals


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 50)])
def test_rates_have_the_intervals_of_statsmodels(k, n):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    assert stats.wilson(k, n) == pytest.approx(
        proportion.proportion_confint(k, n, method="wilson"), abs=1e-12
    )


def test_iqm_interval_is_that_of_the_trimmed_mean_in_scipy():
    values = np.sort(GENERATOR(4).normal(size=20))  # a multiple of 4: the IQM trims whole values
    expected = scipy_stats.mstats.trimmed_mean_ci(values, (0.25, 0.25), (True, True), alpha=0.05)
    resampled = stats.bootstrap_interval(values, stats.iqm, GENERATOR(0))
    assert stats.iqm_interval(values, GENERATOR(0)) == pytest.approx(
        (min(expected[0], resampled.low), max(expected[1], resampled.high))
    )


def test_iqm_interval_of_tied_values_is_not_a_point():
    assert stats.iqm_interval(np.array([5.0, 8.0, 8.0, 8.0, 8.0]), GENERATOR(0)) == pytest.approx((5.9, 8.0))
    assert stats.iqm_interval(np.full(5, 8.0), GENERATOR(0)) == (8.0, 8.0)


def test_iqm_interval_ends_at_bounds():
    modes = np.array([5.0, 7.0, 8.0, 8.0, 8.0])
    assert stats.iqm_interval(modes, GENERATOR(0)).high == 8.0
    positive = np.array([1.0, 5.0, 9.0, 30.0, 90.0])
    assert stats.iqm_interval(positive, GENERATOR(0)).low == 0.0
    assert stats.iqm_interval(positive - 2, GENERATOR(0)).low < -2
    low, high = stats.iqm_interval(-positive, GENERATOR(0))
    assert high == 0.0 > low


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 9, 10, 20, 50, 51])
def test_median_interval_is_that_of_the_binomial_law(n):
    values = GENERATOR(n).normal(size=n)
    found = stats.median_interval(values)
    ordered = np.sort(values)
    levels = [1 - 2 * scipy_stats.binom.cdf(k, n, 0.5) for k in range(n // 2)]  # of each pair from outside
    k = max([k for k, level in enumerate(levels) if level >= 0.95], default=0)
    assert found == pytest.approx((ordered[k], ordered[n - 1 - k], levels[k]))
    assert found.level >= 0.95 or n < 6


def test_median_interval_of_five_is_the_range_at_its_exact_level():
    assert stats.median_interval(np.array([43.0, 50.0, 84.0, 66.0, 61.0])) == (43.0, 84.0, 0.9375)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_median_interval_stays_within_the_values(values):
    low, high, _ = stats.median_interval(np.array(values))
    assert min(values) <= low <= np.median(values) <= high <= max(values)


def test_median_interval_of_one_value_is_unknown():
    assert np.isnan(stats.median_interval(np.ones(1))).all()
    assert np.isnan(stats.median_interval(np.empty(0))).all()


def test_iqm_interval_bears_failures():
    low, high = stats.iqm_interval(np.array([1.0, 2.0, 3.0, 4.0, math.inf]), GENERATOR(0))
    assert math.isfinite(low)
    assert high == math.inf  # a rate of 20% rules out none above a quarter
    assert np.isfinite(stats.iqm_interval(np.r_[np.arange(39.0), math.inf], GENERATOR(0))).all()
    mostly_failed = np.array([1.0, 2.0, math.inf, math.inf, math.inf])
    assert stats.iqm_interval(mostly_failed, GENERATOR(0)).high == math.inf
    assert stats.iqm_interval(np.full(5, math.inf), GENERATOR(0)) == (math.inf, math.inf)
    assert math.isnan(stats.iqm_interval(np.ones(1), GENERATOR(0)).low)


# -- times


def censored(seed, n, scale=10.0):
    generator = GENERATOR(seed)
    return np.ceil(generator.exponential(scale, n)), generator.random(n) < 0.6


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
@pytest.mark.parametrize("seed", range(4))
def test_kaplan_meier_is_scipys(seed):
    time, event = censored(seed, 30)
    data = scipy_stats.CensoredData(uncensored=time[event], right=time[~event])
    expected = scipy_stats.ecdf(data).sf
    curve = stats.kaplan_meier(time, event)
    assert (curve.time[0], curve.survival[0]) == (0.0, 1.0)
    np.testing.assert_allclose(curve.survival, expected.evaluate(curve.time), atol=1e-12)
    inner = (curve.survival > 0) & (curve.survival < 1)
    band = expected.confidence_interval(method="log-log")
    np.testing.assert_allclose(curve.low[inner], band.low.evaluate(curve.time)[inner], atol=1e-9)
    np.testing.assert_allclose(curve.high[inner], band.high.evaluate(curve.time)[inner], atol=1e-9)


def test_a_curve_without_events_is_not_certain():
    curve = stats.kaplan_meier(np.full(5, 100.0), np.zeros(5, dtype=bool))
    assert curve.survival.tolist() == [1.0, 1.0]
    assert curve.low[-1] == pytest.approx(1 - stats.wilson(0, 5).high)
    dead = stats.kaplan_meier(np.full(5, 7.0), np.ones(5, dtype=bool))
    assert (dead.survival[-1], dead.low[-1]) == (0.0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_log_rank_of_two_large_groups_is_scipys(seed):
    groups = [censored(seed, 20), censored(seed + 100, 25, 16.0)]
    sides = [scipy_stats.CensoredData(uncensored=t[e], right=t[~e]) for t, e in groups]
    assert stats.log_rank(groups) == pytest.approx(scipy_stats.logrank(*sides).pvalue)


def test_log_rank_of_two_small_groups_is_exact():
    """Against all permutations of scipy's statistic, whose variance is the same for all without censoring."""
    time = np.array([1.0, 2, 3, 5, 8, 4, 6, 7, 9, 10])
    dead = np.ones(5, dtype=bool)
    found = stats.log_rank([(time[:5], dead), (time[5:], dead)])
    data = scipy_stats.CensoredData

    def excess(first):
        rest = [i for i in range(10) if i not in first]
        one, other = time[list(first)], time[rest]
        result = scipy_stats.logrank(data(one), data(other))
        at_risk = [(one >= t).sum() / (time >= t).sum() for t in np.sort(time)]
        assert np.sign(result.statistic) == np.sign(round(5 - sum(at_risk), 9))
        return abs(5 - sum(at_risk))

    every = [excess(some) for some in itertools.combinations(range(10), 5)]
    assert found == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-9))


def test_five_failures_against_none_have_the_least_p():
    dead = (np.full(5, 100.0), np.ones(5, dtype=bool))
    alive = (np.full(5, 500.0), np.zeros(5, dtype=bool))
    assert stats.log_rank([dead, alive]) == pytest.approx(stats.least_p(5, 5))


def test_log_rank_of_three_is_that_of_statsmodels():
    survdiff = pytest.importorskip("statsmodels.duration.survfunc").survdiff
    groups = [censored(seed, 20, 8.0 + seed) for seed in range(3)]
    time, event = (np.concatenate([group[part] for group in groups]) for part in (0, 1))
    _, expected = survdiff(time, event.astype(int), np.repeat([0, 1, 2], 20))
    assert stats.log_rank(groups) == pytest.approx(expected)


def test_log_rank_of_nothing_is_no_difference():
    alive = (np.full(4, 9.0), np.zeros(4, dtype=bool))
    assert stats.log_rank([alive, alive]) == stats.log_rank([alive]) == stats.log_rank([]) == 1.0


def test_restricted_mean_without_censoring_is_the_mean_of_capped_times():
    time = GENERATOR(6).exponential(10, 40)
    everyone = np.ones(40, dtype=bool)
    assert stats.restricted_mean(time, everyone, 12.0) == pytest.approx(np.minimum(time, 12).mean())
    low, high = stats.restricted_mean_interval(time, everyone, 12.0)
    # its variance is then that of the mean, and the ends solve the score equation
    share, error = np.minimum(time, 12).mean() / 12, np.minimum(time, 12).std(ddof=1) / 12 / math.sqrt(40)
    for end in (low / 12, high / 12):
        widened = error * math.sqrt(end * (1 - end) / (share * (1 - share)))
        assert abs(end - share) == pytest.approx(scipy_stats.t.ppf(0.975, 39) * widened, rel=1e-6)


def test_restricted_mean_with_censoring_is_that_of_lifelines():
    time, event = censored(0, 30)
    assert stats.restricted_mean(time, event, 12.0) == pytest.approx(9.071696934644303)  # lifelines 0.30.3


@pytest.mark.parametrize("dead", [False, True])
def test_restricted_mean_of_runs_alike_is_not_certain(dead):
    low, high = stats.restricted_mean_interval(np.full(5, 60.0), np.full(5, dead), 60.0 + 40 * dead)
    assert low < 45
    assert (high == 60.0) if not dead else (60 < high < 100)


# -- tasks


@pytest.mark.parametrize("seed", range(3))
def test_friedman_is_the_f_of_scipys_statistic(seed):
    scores = GENERATOR(seed).normal(size=(8, 4)) + np.array([0, 0, 0.5, 1])
    chi, tasks, variants = scipy_stats.friedmanchisquare(*scores.T).statistic, 8, 4
    expected = scipy_stats.f.sf((tasks - 1) * chi / (tasks * (variants - 1) - chi), 3, 21)
    assert stats.friedman(scores) == pytest.approx(expected)


def test_friedman_at_its_ends():
    assert stats.friedman(np.ones((6, 3))) == 1.0
    assert stats.friedman(np.tile([1.0, 2.0, math.inf], (6, 1))) == 0.0
    assert math.isnan(stats.friedman(np.ones((1, 3))))


def test_critical_differences_are_demsars():
    # table 5 (a) of Demsar 2006: q.05 for 2, 5 and 10 classifiers
    for variants, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        expected = q * math.sqrt(variants * (variants + 1) / (6 * 14))
        assert stats.critical_difference(14, variants) == pytest.approx(expected, abs=2e-3)


def test_wilcoxon_holm_is_scipys_corrected():
    scores = GENERATOR(7).normal(size=(9, 3)) + np.array([0, 0.5, 2])
    found = stats.wilcoxon_holm(scores)
    raw = [scipy_stats.wilcoxon(scores[:, i], scores[:, j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(found[np.triu_indices(3, 1)], stats.holm(raw))
    np.testing.assert_array_equal(found, found.T)
    failed = np.array([[math.inf, 1.0], [math.inf, math.inf], [3.0, 2.0]])
    assert stats.wilcoxon_holm(failed)[0, 1] == pytest.approx(0.5)  # two of three tasks, one way


def test_performance_profile():
    scores = np.array([1.0, 2.0, math.inf])
    assert stats.performance_profile(scores, [0.5, 1.0, 9.0]).tolist() == pytest.approx([0, 1 / 3, 2 / 3])
    assert stats.performance_profile(scores, [2.0], lower_is_better=False).tolist() == pytest.approx([2 / 3])


# -- sweeps


def test_stable_volume_weighs_cells_alike():
    cells = np.array([0] * 10 + [1] * 2)
    share, interval = stats.stable_volume(cells, np.array([True] * 10 + [False] * 2))
    assert share == 0.5
    assert interval.low < 0.2 < 0.8 < interval.high  # two cells that differ are two observations
    alike = np.arange(20) % 2 == 0
    share, interval = stats.stable_volume(np.repeat(np.arange(2), 10), alike)
    assert (share, interval) == (0.5, pytest.approx(stats.wilson(10, 20)))
    # four seeds of each of nine cells, all stable: nine observations
    assert stats.stable_volume(np.repeat(np.arange(9), 4), np.ones(36)) == (1.0, stats.wilson(9, 9))
    assert stats.stable_volume(np.zeros(10), np.ones(10)) == (1.0, stats.wilson(10, 10))
    assert math.isnan(stats.stable_volume(np.empty(0), np.empty(0))[0])


def test_marginal_effects_tell_who_matters():
    points = np.array([(a, b) for a in (1.0, 2.0, 3.0) for b in (10.0, 20.0) for _ in range(4)])
    stable = points[:, 0] > 1
    first, second = stats.marginal_effects(points, stable, np.where(stable, points[:, 1], math.inf))
    assert first.values.tolist() == [1, 2, 3]
    assert first.stable.tolist() == [0, 1, 1]
    np.testing.assert_allclose(
        first.ranks, [20 / 24, 8 / 24, 8 / 24]
    )  # the worst eight of 24; four ties each
    np.testing.assert_allclose(second.ranks, [(20 + 4 + 4) / 72, (20 + 12 + 12) / 72])
    assert (first.share_spread, first.importance) == (1.0, pytest.approx(1.0))
    assert (second.share_spread, second.importance) == (0.0, pytest.approx(0.0))
    assert 0 < second.importance_of_rank < first.importance_of_rank < 1
