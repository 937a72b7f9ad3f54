"""Survival, failures, ranking, sweeps, curves: against scipy, and against what was made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from made_results import FAILURES, make

from ganbench import load, stats
from ganbench.errors import BadInput
from ganbench.report.figures import figure
from ganbench.results import ranking
from ganbench.storage.stack_folder import StackFolder, stack_folders


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load(make(tmp_path_factory.mktemp("questions"), 4, 12, trace_steps=300))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    sweep = {"r1.gamma": [0.1, 1.0, 10.0], "optimizer.lr": [0.001, 0.01]}
    outcomes = [{}, {}, {}, {}, {"diverged": 0.5}, {"diverged": 1.0}]
    return load(make(tmp_path_factory.mktemp("swept"), ["r1"], 8, outcomes=outcomes, sweep=sweep))


def test_survival_until_failure_is_scipys(results):
    frame = results.survival()
    assert frame.columns.tolist() == ["variant", "step", "at_risk", "events", "survival", "low", "high", "n"]
    for variant, curve in frame.groupby("variant"):
        runs = results.runs[results.runs["variant"] == variant]
        died = runs["onset_step"].fillna(runs["steps"])[runs["outcome"] != "finished"]
        censored = np.full(len(runs) - len(died), 1000)
        data = scipy.stats.CensoredData(uncensored=died.astype(float), right=censored)
        expected = scipy.stats.ecdf(data).sf
        first = curve.iloc[0]
        assert (first["step"], first["survival"], first["at_risk"]) == (0, 1, 12)
        np.testing.assert_allclose(curve["survival"], expected.evaluate(curve["step"].to_numpy()))
        assert curve["events"].sum() == len(died)
        assert set(curve["n"]) == {12}


def test_survival_until_a_threshold_censors_failed_runs_at_their_budget(results):
    frame = results.survival("energy-distance", 0.5)
    times = results.time_to("energy-distance", 0.5)
    for variant, curve in frame.groupby("variant"):
        own = times[times["variant"] == variant]
        assert curve["events"].sum() == own["reached"].sum()
        assert curve["survival"].iloc[-1] == pytest.approx(1 - own["reached"].mean())
    assert (times.loc[times["outcome"] != "finished", "step"] == 1000).all()


def test_survival_tests_are_log_rank_tests_against_the_baseline(results):
    frame = results.survival_tests()
    assert frame.columns.tolist() == [
        "variant",
        "n",
        "events",
        "rmst",
        "rmst_low",
        "rmst_high",
        "median",
        "p",
        "p_holm",
    ]
    assert frame["p"].isna().tolist() == [True, False, False, False]
    runs = results.runs.assign(failed=results.runs["outcome"] != "finished")
    times = runs["onset_step"].fillna(runs["steps"]).astype(float)
    data = {
        variant: scipy.stats.CensoredData(
            uncensored=times[rows.index[rows["failed"]]], right=times[rows.index[~rows["failed"]]]
        )
        for variant, rows in runs.groupby("variant", sort=False)
    }
    baseline, *others = data
    expected = [scipy.stats.logrank(data[other], data[baseline]).pvalue for other in others]
    np.testing.assert_allclose(frame["p"][1:], expected)
    np.testing.assert_allclose(frame["p_holm"], stats.holm(frame["p"].to_numpy()))
    assert frame["rmst"][0] == 1000
    assert np.isnan(frame["median"][0])
    named = results.survival_tests(baseline=others[0])
    assert named["p"].isna().tolist() == [False, True, False, False]


def test_runs_that_never_trained_have_failed_at_their_first_step():
    runs = pd.DataFrame({"variant": ["v"] * 2, "outcome": ["incompatible", "finished"], "steps": [0, 100]})
    runs = runs.assign(onset_step=pd.array([None, None], dtype="Int64"), budget=[100, 100])
    from ganbench.results import survival

    times = survival.to_failure(runs)
    assert times["time"].tolist() == [1, 100]
    assert times["event"].tolist() == [True, False]
    assert survival.curves(times)["survival"].tolist()[-1] == 0.5


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.survival("modes"), "give a metric and a threshold, or neither"),
        (lambda r: r.survival_tests(threshold=1.0), "give a metric and a threshold, or neither"),
        (lambda r: r.survival("mode", 1.0), "no run measured 'mode'; did you mean 'modes'?"),
        (lambda r: r.survival_tests(baseline="x"), "no variant is called 'x'"),
        (lambda r: r.rank("mode"), "no variant takes the metric 'mode'; did you mean 'modes'?"),
        (lambda r: r.stability_map("r1.gama"), "no variant sweeps 'r1.gama'; there are none"),
        (lambda r: r.curves(["grad_nrm"]), "no trace has 'grad_nrm'; did you mean 'grad_norm'?"),
        (lambda r: r.curves(["step"]), "no trace has 'step'"),
        (lambda r: r.curves(points=1), "a curve needs 2 points or more (got 1)"),
        (lambda r: r.plot("failure-rate"), "did you mean 'failure-rates'?"),
    ],
)
def test_bad_input_is_one_sentence(results, ask, message):
    with pytest.raises(BadInput) as caught:
        ask(results)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_failures_are_one_row_each(results):
    frame = results.failures()
    failed = results.runs[results.runs["outcome"] != "finished"]
    assert frame["key"].tolist() == failed["key"].tolist()
    columns = [
        "key",
        "variant",
        "seed",
        "outcome",
        "onset_step",
        "budget",
        "reason",
        "evidence_first",
        "evidence_last",
        "remark",
    ]
    assert frame.columns.tolist() == columns
    assert set(frame["outcome"]) <= set(FAILURES)


def test_the_ranking_is_by_the_ranks_of_runs_failed_ones_last(tmp_path):
    outcomes = [{}, {"collapsed": 1.0}, {}]
    shifts = [0.0, 50.0, 9.0]
    results = load(make(tmp_path, 3, 6, outcomes=outcomes, shifts=shifts, trace_steps=0))
    frame = results.rank("energy-distance")
    assert frame["variant"].str[-3:].tolist() == ["002", "ain", "001"]
    assert frame["rank"].tolist() == [1, 2, 3]
    assert frame["mean_rank"].tolist() == [3.5, 9.5, 15.5]
    assert frame["failure_rate"].tolist() == [0, 0, 1]
    assert np.isnan(frame["estimate"].iloc[2])
    assert frame.columns.tolist() == list(ranking.COLUMNS)


def test_ranks_begin_anew_for_each_data_set(tmp_path):
    make(tmp_path / "a", 2, 5, suite="a", trace_steps=0)
    make(tmp_path / "b", 3, 5, suite="b", dataset="grid", trace_steps=0)
    frame = load(tmp_path).rank()
    assert frame.groupby("dataset", sort=False)["rank"].min().tolist() == [1, 1]
    assert frame["dataset"].tolist() == ["ring"] * 2 + ["grid"] * 3


def test_a_leaderboard_of_six_tasks_has_friedmans_test(tmp_path):
    names = ["plain", "r1", "ema"]
    for index in range(6):
        folder = tmp_path / f"s{index}"
        make(
            folder,
            names,
            5,
            suite=f"s{index}",
            dataset=f"d{index}",
            outcomes=[{}],
            shifts=[0, 9, 4],
            trace_steps=0,
        )
    results = load(tmp_path)
    board = results.leaderboard()
    assert board.frame["variant"].tolist() == [f"mlp-gan/hinge/{name}" for name in ("r1", "ema", "plain")]
    assert board.frame["tasks"].tolist() == [6] * 3
    scores = np.array([[3.0, 1, 2]] * 6)
    assert board.p == stats.friedman(scores)
    assert board.critical_difference == stats.critical_difference(6, 3)
    assert board.frame["mean_rank"].tolist() == [1, 2, 3]
    assert np.isnan(board.frame["p_best"][0])
    assert board.frame["p_best"][1] == stats.wilcoxon_holm(scores)[1, 2]
    assert board.tasks == [f"d{index}/modes" for index in range(6)]
    models = results.leaderboard(by_model=True)
    assert models.frame["variant"].tolist() == ["hinge/r1", "hinge/ema", "hinge/plain"]
    assert models.tasks[0] == "d0/mlp-gan/modes"


def test_only_variants_that_are_on_all_tasks_have_a_rank(tmp_path):
    techniques = (["plain", "r1", "ema", "never"], ["plain", "r1", "ema"], ["plain", "r1"])
    shifts = {"plain": 0, "r1": 4, "ema": 9, "never": 20}
    for index, names in enumerate(techniques):
        make(
            tmp_path / f"s{index}", names, 5, suite=f"s{index}", dataset=f"d{index}", outcomes=[{}],
            shifts=[shifts[name] for name in names], trace_steps=0,
        )  # fmt: skip
    board = load(tmp_path).leaderboard()
    frame = board.frame.assign(variant=board.frame["variant"].str.removeprefix("mlp-gan/hinge/"))
    assert frame["variant"].tolist() == ["r1", "plain", "ema", "never"]
    assert frame["rank"].dtype == "Int64"
    assert frame["rank"].tolist() == [1, 2, pd.NA, pd.NA]
    np.testing.assert_array_equal(frame["mean_rank"], [1, 2, np.nan, np.nan], "among those two alone")
    assert frame["tasks"].tolist() == [3, 3, 2, 1]
    assert frame["missing"].tolist() == ["", "", "d2/modes", "d1/modes, d2/modes"]
    assert board.notes[1:3] == [
        "'mlp-gan/hinge/ema' is not ranked: it has no runs on 'd2/modes'.",
        "'mlp-gan/hinge/never' is not ranked: it has no runs on 'd1/modes, d2/modes'.",
    ]


def test_variants_of_a_leaderboard_that_are_alike_share_their_rank():
    table = pd.DataFrame({"t0": [1.0, 2.0, 3.0], "t1": [2.0, 1.0, 3.0]}, index=["a", "b", "c"])
    counts = pd.DataFrame({"runs": 5, "failures": 0}, index=table.index)
    board = ranking._board(table, counts)
    assert board.frame["rank"].tolist() == [1, 1, 3]


def test_the_notes_of_a_leaderboard_do_not_list_a_hundred_variants():
    index = [f"v{i}" for i in range(100)]
    table = pd.DataFrame({"t0": np.arange(100.0), "t1": np.nan}, index=index)
    board = ranking._board(table, pd.DataFrame({"runs": 5, "failures": 0}, index=index))
    assert len(board.notes) == 1 + ranking.MOST_UNRANKED + 1 + 1
    assert board.notes[-2] == "92 more are not ranked: they are not on all tasks."


def test_a_leaderboard_of_few_tasks_is_not_tested_and_says_so(results):
    board = results.leaderboard()
    assert np.isnan(board.p)
    assert "No test: it needs at least 6 tasks" in board.notes[-1]
    assert board.frame["runs"].tolist() == [12] * 4


def test_a_stability_map_counts_what_finished(swept):
    frame = swept.stability_map("r1.gamma", "optimizer.lr")
    assert frame.columns.tolist() == ["x", "y", "runs", "stable", "share", "low", "high", "estimate"]
    assert frame[["x", "y"]].to_numpy().tolist() == [
        [g, lr] for g in (0.1, 1.0, 10.0) for lr in (0.001, 0.01)
    ]
    runs = swept.runs
    for row in frame.to_dict("records"):
        own = runs[(runs["r1.gamma"] == row["x"]) & (runs["optimizer.lr"] == row["y"])]
        assert row["runs"] == len(own) == 8
        assert row["stable"] == (own["outcome"] == "finished").sum()
        assert (row["low"], row["high"]) == stats.wilson(row["stable"], 8)
    assert frame["share"].tolist()[:4] == [1] * 4
    assert frame["share"].iloc[-1] == 0
    assert frame["estimate"].iloc[-1] == -np.inf
    alone = swept.stability_map("r1.gamma")
    assert alone["runs"].tolist() == [16] * 3
    assert alone["y"].isna().all()


def test_the_sensitivity_finds_the_option_that_matters(swept):
    frame = swept.sensitivity().set_index("option")
    assert frame.index.tolist() == ["r1.gamma", "optimizer.lr"]
    gamma, rate = frame.loc["r1.gamma"], frame.loc["optimizer.lr"]
    assert gamma["importance"] > 0.5 > rate["importance"]
    assert (gamma["best_share"], gamma["worst"]) == (1, 10)
    assert (gamma["values"], rate["values"]) == (3, 2)
    shares = swept.runs.assign(ok=swept.runs["outcome"] == "finished").groupby("variant")["ok"].mean()
    assert gamma["share"] == pytest.approx(shares.mean())
    means = swept.runs.assign(ok=swept.runs["outcome"] == "finished").groupby("r1.gamma")["ok"].mean()
    explained = ((means - shares.mean()) ** 2).mean() / ((shares - shares.mean()) ** 2).mean()
    assert gamma["importance"] == pytest.approx(explained)


def test_swept_variants_are_summarised_and_compared(swept):
    assert len(swept.summary()) == 6
    assert len(swept.compare(baseline=swept.runs["variant"][0])) == 5
    assert swept.runs["r1.gamma"].nunique() == 3


def test_curves_are_the_traces_thinned(results):
    columns = ["grad_norm", "logit_gap"]
    frame = results.curves(columns, points=20)
    assert frame.columns.tolist() == ["key", "variant", "seed", "step", "player", *columns]
    traces = results.traces[frame.columns.tolist()]
    sizes = frame.groupby(["key", "player"], observed=True)["step"].agg(["size", "min", "max"])
    whole = traces.groupby(["key", "player"], observed=True)["step"].agg(["size", "min", "max"])
    assert (sizes["size"] == whole["size"].clip(upper=20)).all()
    assert (sizes[["min", "max"]] == whole[["min", "max"]]).all(axis=None)
    on = ["key", "step", "player"]
    text = dict.fromkeys(("key", "variant", "player"), str)
    merged = frame.astype(text).merge(traces.astype(text), on=on, suffixes=("", "_whole"))
    assert len(merged) == len(frame)
    for column in columns:
        np.testing.assert_array_equal(merged[column], merged[f"{column}_whole"])
    gaps = (
        frame[frame["key"] == frame["key"].iloc[0]].groupby("player", observed=True)["step"].diff().dropna()
    )
    assert gaps.max() <= 1.5 * gaps.median()


def test_the_update_ratio_is_derived(results):
    traces = results.traces
    ratio = traces["update_norm"] / traces["weight_norm"]
    np.testing.assert_array_equal(traces["update_ratio"], ratio.astype(np.float32))
    assert (traces["update_ratio"] > 0).any()
    frame = results.curves(["update_ratio"], points=20)
    assert frame.columns.tolist() == ["key", "variant", "seed", "step", "player", "update_ratio"]
    both = results.curves(["update_norm", "weight_norm", "update_ratio"], points=20)
    np.testing.assert_array_equal(frame["update_ratio"], both["update_norm"] / both["weight_norm"])


def test_curves_hold_one_stack_in_memory_at_a_time(results, monkeypatch):
    asked = []
    original = StackFolder.traces_table

    def spy(self, columns=None):
        asked.append(columns)
        return original(self, columns)

    monkeypatch.setattr(StackFolder, "traces_table", spy)
    load(results.path).curves(["loss"], points=5)
    assert asked == [["run", "step", "player", "loss"]] * len(stack_folders(results.path))


def test_a_column_that_only_some_traces_have_is_nan_elsewhere(tmp_path):
    make(tmp_path, 2, 2, outcomes=[{}], trace_steps=3)
    stack = stack_folders(tmp_path)[0]
    part = next(stack.path.glob("trace-*"))
    pd.read_parquet(part).assign(extra=1.0).to_parquet(part)
    frame = load(tmp_path).curves(["extra"])
    assert sorted(frame["extra"].isna().groupby(frame["variant"].astype(str)).mean()) == [0, 1]


def test_a_notebook_shows_counts_failures_and_the_summary_escaped(tmp_path):
    label = "<script>alert(1)</script>"
    results = load(make(tmp_path / "<b>", ["plain", label], 3, suite="<i>", unfinished=1, trace_steps=0))
    shown = results._repr_html_()
    assert not {"<script>", "<b>", "<i>"} & {piece + ">" for piece in shown.split(">")}
    assert "<script" not in shown
    assert "&lt;i&gt;" in shown
    assert "3 runs of 1 variant, 0 failed; 3 more have no result yet" in shown
    assert "0 of 3 (0%) [0%, 56%]" in shown
    assert shown.count("<tr>") == 2


def test_a_notebook_shows_some_of_many_variants(tmp_path):
    results = load(make(tmp_path, 70, 1, 10, trace_steps=0))
    shown = results._repr_html_()
    assert shown.count("<tr>") == 61
    assert "… and 10 more variants" in shown


def test_plots_are_the_reports_figures(results):
    assert results.plot("failure-rates").to_dict()["$schema"]
    assert type(results.plot("failure-rates")) is type(figure(results, "failure-rates").chart)


def test_a_profile_is_the_share_of_runs_at_least_as_good(results):
    frame = results.profile("energy-distance")
    runs = results.runs
    assert set(frame["variant"]) == set(runs["variant"])
    for row in frame.sample(10, random_state=0).to_dict("records"):
        mine = runs[(runs["variant"] == row["variant"])]
        good = (mine["outcome"] == "finished") & (mine["final_energy-distance"] <= row["threshold"])
        assert (row["share"], row["n"]) == (good.mean(), len(mine))
        assert (row["low"], row["high"]) == stats.wilson(int(good.sum()), len(mine))
    assert frame.groupby("variant")["share"].apply(lambda shares: shares.is_monotonic_increasing).all()
