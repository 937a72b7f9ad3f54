"""Comparisons: against scipy, in which order, on what data, and in whose words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from made_results import make

from ganbench import load, stats
from ganbench.errors import BadInput
from ganbench.results import comparison
from ganbench.text import distinct_parts

COLUMNS = [
    *("variant", "other", "metric", "direction", "n", "n_other", "estimate", "estimate_other"),
    *("effect", "effect_low", "effect_high", "p", "p_holm", "significant", "least_p", "reachable"),
    *("failures", "failures_other", "p_failures", "p_failures_holm", "finding"),
]


def frame_of(costs: dict[str, list[float]], failed: tuple[str, ...] = ()) -> pd.DataFrame:
    """Runs of variants with these values of "fid"; "v:3" in `failed`: the run of index 3 of v failed."""
    rows = [
        (v, "collapsed" if f"{v}:{i}" in failed else "finished", value, True)
        for v, values in costs.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["variant", "outcome", "final_fid", "measured"])


def compared(costs, failed=(), direction="lower", pairs=None, alpha=0.05):
    labels = list(costs)
    pairs = pairs or [(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    runs = frame_of(costs, failed)
    return comparison.compared(runs, pairs, dict.fromkeys(labels, "fid"), {"fid": direction}, alpha)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load(make(tmp_path_factory.mktemp("compare"), 5, 8, shifts=[0, 0, 1, 2, 4]))


def test_it_has_the_columns_and_one_row_a_variant_against_the_suites_baseline(results):
    frame = results.compare()
    assert frame.columns.tolist() == COLUMNS
    labels = results.runs["variant"].unique().tolist()
    assert frame["variant"].tolist() == labels[1:]
    assert set(frame["other"]) == {labels[0]}
    assert set(frame["metric"]) == {"modes"}
    assert set(frame["direction"]) == {"higher"}
    assert frame["significant"].dtype == frame["reachable"].dtype == bool


def test_numbers_are_those_of_scipy(results):
    frame = results.compare("energy-distance", baseline=None)
    runs = results.runs
    ps, rates = [], []
    for row in frame.to_dict("records"):
        sides = []
        for label in (row["variant"], row["other"]):
            own = runs[runs["variant"] == label]
            failed = own["outcome"] != "finished"
            sides.append(np.where(failed, np.inf, own["final_energy-distance"]))
        wins = (sides[0][:, None] < sides[1]) + 0.5 * (sides[0][:, None] == sides[1])
        assert row["effect"] == wins.mean()
        ranks = scipy.stats.rankdata(np.concatenate(sides))
        count = 8
        permuted = scipy.stats.permutation_test(
            (ranks[:count], ranks[count:]),
            lambda x, y, axis: np.abs(x.mean(axis) - y.mean(axis)),
            vectorized=True,
            alternative="greater",
            n_resamples=np.inf,  # all of them
        )
        assert row["p"] == pytest.approx(permuted.pvalue)
        ps.append(row["p"])
        failures = [int(np.isinf(side).sum()) for side in sides]
        assert [row["failures"], row["failures_other"]] == failures
        table = [failures, [count - k for k in failures]]
        rates.append(scipy.stats.barnard_exact(table).pvalue if sum(failures) else 1.0)
        assert row["estimate"] == np.median(sides[0][np.isfinite(sides[0])])
    order = np.argsort(ps)
    holm = np.empty(len(ps))
    holm[order] = np.minimum(1, np.maximum.accumulate((len(ps) - np.arange(len(ps))) * np.array(ps)[order]))
    np.testing.assert_allclose(frame["p_holm"], holm)
    np.testing.assert_allclose(frame["p_failures"], rates, atol=1e-6)


def test_untied_p_values_are_exact():
    x, y = np.random.default_rng(1).normal(size=(2, 8))
    row = compared({"a": list(x), "b": list(y)}).iloc[0]
    expected = scipy.stats.mannwhitneyu(x, y, method="exact")
    assert row["p"] == row["p_holm"] == pytest.approx(expected.pvalue)
    assert row["effect"] == pytest.approx(1 - expected.statistic / 64)


def test_the_direction_turns_the_effect_and_nothing_else():
    costs = {"a": [1.0, 2, 3, 4, 9], "b": [5.0, 6, 7, 8, 10]}
    low, high = compared(costs).iloc[0], compared(costs, direction="higher").iloc[0]
    assert (low["effect"], high["effect"]) == (21 / 25, 4 / 25)
    assert (low["effect_low"], low["p"]) == pytest.approx((1 - high["effect_high"], high["p"]))


def test_failed_runs_rank_worst_and_are_counted():
    costs = {"a": [0.1] * 10, "b": [5.0 + i for i in range(10)]}
    row = compared(costs, failed=tuple(f"a:{i}" for i in range(10))).iloc[0]
    assert (row["effect"], row["failures"], row["n"]) == (0, 10, 10)
    assert np.isnan(row["estimate"]), "none of its runs finished"
    assert row["finding"].startswith(
        "b is better than a: one of its runs is better with probability 1.00 [0."
    )
    assert row["finding"].endswith("; 10 of 10 runs of a failed, 0 of 10 of b (p < .001)")


def test_all_failed_on_both_sides_is_a_tie():
    costs = {"a": [1.0] * 5, "b": [2.0] * 5}
    row = compared(costs, failed=tuple(f"{v}:{i}" for v in "ab" for i in range(5))).iloc[0]
    assert (row["effect"], row["p"], row["p_failures"], row["significant"]) == (0.5, 1, 1, False)


def test_a_value_that_is_missing_ranks_with_the_failures():
    row = compared({"a": [np.nan] * 6, "b": [1.0] * 6}).iloc[0]
    assert (row["effect"], row["failures"]) == (0, 0)


@pytest.mark.parametrize(
    ("n", "variants", "reachable", "needed"), [(3, 2, False, 4), (5, 2, True, 0), (5, 10, False, 7)]
)
def test_where_n_cannot_reach_alpha_it_says_so(n, variants, reachable, needed):
    costs = {f"v{i}": [i * 100.0 + k for k in range(n)] for i in range(variants)}
    frame = compared(costs)
    assert frame["reachable"].tolist() == [reachable] * len(frame)
    assert frame["least_p"].tolist() == [stats.least_p(n, n)] * len(frame)
    if not reachable:
        assert not frame["significant"].any()
        assert f"{n} and {n} runs of v0 and v1 cannot reach p = 0.05" in frame["finding"][0]
        assert frame["finding"][0].endswith(f"train {needed} or more of each")
        assert (
            stats.least_p(needed, needed) * len(frame)
            <= 0.05
            < stats.least_p(needed - 1, needed - 1) * len(frame)
        )


def test_the_finding_is_a_sentence_of_plain_english():
    values = np.arange(10.0)
    frame = compared({"x/plain": list(values + 6), "x/r1": list(values), "x/r2": list(values + 0.5)})
    better, same, third = frame["finding"]
    row = frame.iloc[0]
    low, high = 1 - row["effect_high"], 1 - row["effect_low"]
    assert better == (
        f"r1 is better than plain: one of its runs is better with probability {1 - row['effect']:.2f} "
        f"[{low:.2f}, {high:.2f}] (p = {row['p_holm']:.3f} after Holm's correction)".replace("= 0.", "= .")
    )
    assert third.startswith(
        "No significant difference between r1 and r2: a run of r1 is better with probability 0.55"
    )
    assert "r2 is better than plain" in same


def test_labels_are_told_apart_by_what_differs():
    labels = ["ring/gan/hinge/plain", "ring/gan/hinge/r1", "ring/gan/wasserstein/plain"]
    assert list(distinct_parts(labels).values()) == ["hinge/plain", "hinge/r1", "wasserstein"]
    assert distinct_parts(["a/b", "a/c"]) == {"a/b": "b", "a/c": "c"}
    assert distinct_parts(["one"]) == {"one": "one"}
    assert distinct_parts([]) == {}


@pytest.mark.parametrize(
    ("metric", "baseline", "alpha", "message"),
    [
        ("mode", None, 0.05, "no variant takes the metric 'mode'; did you mean 'modes'?"),
        (None, "ring/mlp-gan/hinge/plane", 0.05, "did you mean 'ring/mlp-gan/hinge/plain'?"),
        (None, {"loss": "hing"}, 0.05, "no variant has loss = 'hing'; did you mean 'hinge'?"),
        (None, {"los": "hinge"}, 0.05, "a baseline cannot be chosen by 'los'; did you mean 'loss'?"),
        (None, {"techniques": ["technique-001", "x"]}, 0.05, "no variant has techniques = "),
        (None, {"loss": "hinge"}, 0.05, "the baseline has nothing to be compared with"),
        (None, None, 0.0, "alpha must be between 0 and 1, such as 0.05 (got 0)"),
    ],
)
def test_bad_input_is_one_sentence(results, metric, baseline, alpha, message):
    with pytest.raises(BadInput) as caught:
        results.compare(metric, baseline, alpha)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_baseline_is_chosen_by_label_or_by_what_it_has(results):
    label = results.runs["variant"].unique()[2]
    by_label = results.compare(baseline=label)
    pd.testing.assert_frame_equal(by_label, results.compare(baseline={"techniques": ["technique-002"]}))
    assert set(by_label["other"]) == {label}
    assert len(by_label) == 4


def test_each_variant_is_compared_with_the_baseline_most_like_it(tmp_path):
    sweep = {"optimizer.lr": [0.1, 0.2]}
    results = load(make(tmp_path, ["plain", "r1"], 2, trace_steps=0, sweep=sweep))
    pairs = results.compare()[["variant", "other"]].to_numpy().tolist()
    start = "ring/mlp-gan/hinge"
    assert pairs == [
        [f"{start}/r1 [optimizer.lr={lr}]", f"{start}/plain [optimizer.lr={lr}]"] for lr in (0.1, 0.2)
    ]


def test_only_variants_on_the_same_data_are_compared(tmp_path):
    make(tmp_path / "a", ["plain", "r1"], 3, dataset="ring", suite="a", trace_steps=0)
    make(tmp_path / "b", ["plain", "r1", "ema"], 3, dataset="grid", suite="b", trace_steps=0)
    results = load(tmp_path)
    frame = results.compare()
    assert (frame["variant"].str.split("/").str[0] == frame["other"].str.split("/").str[0]).all()
    assert len(frame) == 1 + 2
    with pytest.raises(BadInput, match="the baseline has nothing to be compared with"):
        load(tmp_path / "a").compare("modes", baseline={"loss": "hinge"})


def test_all_pairs_can_be_asked_for_whatever_the_suites_baseline_is(results):
    frame, labels = results.compare(baseline="all"), list(results.configs)
    pairs = [(one, other) for i, one in enumerate(labels) for other in labels[i + 1 :]]
    assert list(frame[["variant", "other"]].itertuples(index=False, name=None)) == pairs
    np.testing.assert_allclose(frame["p_holm"], stats.holm(frame["p"].to_numpy()))
    own = results.compare().set_index("variant")["effect"]
    mirrored = frame[frame["variant"] == labels[0]].set_index("other")["effect"]
    np.testing.assert_allclose(own, 1 - mirrored.loc[own.index])


@pytest.mark.parametrize("missing", [0, 1])
def test_while_runs_are_missing_nothing_is_called_significant_and_the_finding_says_so(missing):
    values = {"a": list(np.arange(10.0)), "b": list(np.arange(10.0) + 20), "c": list(np.arange(10.0))}
    pairs = [("a", "b"), ("a", "c")]
    runs = frame_of(values)
    frame = comparison.compared(runs, pairs, dict.fromkeys(values, "fid"), {}, missing=missing)
    assert (frame["p_holm"] <= 0.05).tolist() == [True, False]
    assert frame["significant"].tolist() == [not missing, False]
    told = "it is not called significant until every run of the suite has a result"
    assert [told in text for text in frame["finding"]] == [bool(missing), False]
    assert frame["finding"][0].startswith("a is better than b")


def without_baseline(folder, variants, **options):
    make(folder, variants, trace_steps=0, baseline={"loss": "none such"}, **options)
    return load(folder)


def test_without_a_baseline_all_pairs_are_compared_up_to_thirty_variants(tmp_path):
    assert len(without_baseline(tmp_path / "few", 30, seeds=2, steps=10).compare()) == 435
    with pytest.raises(BadInput, match=r"31 variants make 465 pairs, too many .* name a baseline"):
        without_baseline(tmp_path / "many", 31, seeds=2, steps=10).compare()
    many = load(tmp_path / "many")
    assert len(many.compare(baseline=many.runs["variant"][0])) == 30


@pytest.mark.parametrize(
    ("column", "one", "other", "what"),
    [
        ("n", 500, 2000, "the number of samples (n) (500 against 2000)"),
        ("n_real", 500, 2000, "the number of real samples (n) (500 against 2000)"),
        ("extractor", "classifier", "inception", "the feature extractor (classifier against inception)"),
        ("extractor_digest", "abc", "def", "the extractor's weights (abc against def)"),
        ("dimensions", 64, 2048, "the dimensions of the features (d) (64 against 2048)"),
    ],
)
def test_values_taken_in_other_ways_are_refused_with_what_differs(tmp_path, column, one, other, what):
    make(tmp_path / "a", ["plain"], 5, suite="a", trace_steps=0, extra={column: one})
    make(tmp_path / "b", ["r1"], 5, suite="b", trace_steps=0, extra={column: other})
    with pytest.raises(BadInput) as caught:
        load(tmp_path).compare()
    start = "modes of 'ring/mlp-gan/hinge/plain' and of 'ring/mlp-gan/hinge/r1' cannot be compared"
    assert str(caught.value) == f"{start}: they differ in {what}"


def test_what_an_earlier_version_did_not_tell_is_not_held_against_it(tmp_path):
    make(tmp_path / "a", ["plain"], 5, suite="a", trace_steps=0)
    make(tmp_path / "b", ["r1"], 5, suite="b", trace_steps=0, extra={"n_real": 500, "extractor_digest": "d"})
    assert len(load(tmp_path).compare()) == 1


@pytest.mark.slow
def test_among_variants_that_are_alike_something_is_found_in_five_percent_of_suites_at_most():
    generator = np.random.default_rng(3)
    labels = [f"v{i}" for i in range(10)]
    pairs = [(a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    wrong = {"significant": 0, "rates": 0}
    for _ in range(1000):
        values = generator.normal(size=100)
        outcome = np.where(generator.random(100) < 0.1, "collapsed", "finished")
        columns = {"variant": np.repeat(labels, 10), "outcome": outcome, "final_fid": values}
        runs = pd.DataFrame({**columns, "measured": True})
        frame = comparison.compared(runs, pairs, dict.fromkeys(labels, "fid"), {"fid": "lower"})
        wrong["significant"] += frame["significant"].any()
        wrong["rates"] += (frame["p_failures_holm"] <= 0.05).any()
    # 50 are expected at most; 2.3 standard errors are 16.
    assert wrong["significant"] <= 66
    assert wrong["rates"] <= 66
