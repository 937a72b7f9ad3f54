from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ganbench.results
from ganbench import stats
from ganbench.errors import BadInput
from ganbench.results import Results, load
from ganbench.results.summary import COLUMNS
from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import write_lock

DIRECTIONS = {"modes": "higher", "fid": "lower", "energy-distance": "lower"}


def variant_config(
    dataset: str, loss: str, metrics: list[str], techniques: list[str] | None = None
) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset, "options": {}},
        "model": {"name": "mlp-gan", "options": {}},
        "loss": {"name": loss, "options": {}},
        "techniques": [{"name": name, "options": {}} for name in techniques or []],
        "optimizer": {player: {"name": "adam", "lr": 0.001} for player in ("generator", "discriminator")},
        "steps": 100,
        "batch": 64,
        "evaluate": {
            "every": 50,
            "samples": 10,
            "metrics": [{"name": name, "options": {}} for name in metrics],
        },
    }


def run_row(key: str, variant: str, seed: int, outcome: str = "finished", **extra: Any) -> dict[str, Any]:
    row = {
        "key": key,
        "suite": "demo",
        "variant": variant,
        "model": "mlp-gan",
        "loss": "hinge",
        "techniques": "plain",
    }
    row |= {"dataset": "ring", "seed": seed, "outcome": outcome, "reason": "", "steps": 100, "budget": 100}
    return (
        row
        | {"seconds": 1.0, "device": "cpu", "executor": "eager", "mapper": "loop", "versions": "{}"}
        | extra
    )


def add_stack(
    root: Path, variant: str, config: dict[str, Any], values: list[dict[str, list[float]]], **options: Any
) -> StackFolder:
    """A stack of one run an entry of `values`: metric -> its values at steps 50, 100, …

    Options: outcomes and swept (one a run), first_seed, finished (has runs.parquet), tag.
    """
    count, first = len(values), options.get("first_seed", 0)
    outcomes = options.get("outcomes", ["finished"] * count)
    swept = options.get("swept", [{}] * count)
    keys = [f"{variant}:{seed}" for seed in range(first, first + count)]
    folder = StackFolder.create(root, variant, f"{variant}{first}{options.get('tag', '')}")
    folder.write_config(
        {
            "schema": 1,
            "suite": "demo",
            "variants": [config] * count,
            "labels": [variant] * count,
            "seeds": list(range(first, first + count)),
            "keys": keys,
            "swept": swept,
        }
    )
    folder.write_env({"packages": {"torch": "2.8"}, "commit": "abc"})
    extra = {"n": 10, "extractor": "", "weights": "raw"}
    folder.write_evals(
        [
            {"run": i, "step": 50 * (k + 1), "metric": metric, "value": value, **extra}
            for i, curves in enumerate(values)
            for metric, curve in curves.items()
            for k, value in enumerate(curve)
        ]
    )
    if options.get("finished", True):
        names = {"dataset": config["dataset"]["name"], "loss": config["loss"]["name"]}
        onsets = [None if outcome == "finished" else 70 for outcome in outcomes]
        folder.write_runs(
            [
                run_row(keys[i], variant, first + i, outcomes[i], onset_step=onsets[i]) | names | swept[i]
                for i in range(count)
            ]
        )
    steps = np.repeat(np.arange(1, 4), 2 * count)
    columns = {"run": np.tile(np.repeat(np.arange(count), 2), 3), "step": steps}
    columns["player"] = np.tile(np.array(["discriminator", "generator"], dtype=object), 3 * count)
    folder.write_traces(1, 3, columns | {"loss": steps.astype(np.float32)})
    return folder


def demo(root: Path) -> Path:
    """Three variants: "a" on modes (one collapsed of five), "b" on fid (all finished), "c" never trained."""
    a, b = (
        variant_config("ring", "hinge", ["modes", "energy-distance"]),
        variant_config("digits", "elbo", ["fid"], ["ema"]),
    )
    modes = [{"modes": [4, 8 - i], "energy-distance": [0.5, 0.1]} for i in range(4)] + [
        {"modes": [7, 1], "energy-distance": [0.4, 0.9]}
    ]
    add_stack(root, "ring/a", a, modes, outcomes=["finished"] * 4 + ["collapsed"])
    add_stack(
        root, "digits/b", b, [{"fid": [20.0, 10.0 + i]} for i in range(5)], swept=[{"ema.decay": 0.9}] * 5
    )
    lock = {
        "schema": 1,
        "suite": "demo",
        "keys": [f"{v}:{s}" for v in ("ring/a", "digits/b") for s in range(5)] + ["c:0"],
        "compare": {"metric": "modes"},
        "directions": DIRECTIONS,
        "variants": [{"label": v, "config": c} for v, c in (("ring/a", a), ("digits/b", b), ("ring/c", a))],
        "seeds": list(range(5)),
        "failed": [
            {"key": "c:0", "label": "ring/c", "seed": 0, "outcome": "incompatible", "reason": "no fit"}
        ],
    }
    write_lock(root, lock)
    return root


def edit_lock(root: Path, **changes: Any) -> Path:
    lock = json.loads((root / "suite.lock.json").read_text()) | changes
    write_lock(root, {name: value for name, value in lock.items() if value is not None})
    return root


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return load(demo(tmp_path / "demo"))


def test_runs_are_one_row_a_run_in_the_suites_order(results):
    runs = results.runs
    assert runs["variant"].tolist() == ["ring/a"] * 5 + ["digits/b"] * 5 + ["ring/c"]
    assert runs["seed"].tolist() == [*range(5), *range(5), 0]
    assert runs["outcome"].tolist() == ["finished"] * 4 + ["collapsed"] + ["finished"] * 5 + ["incompatible"]
    assert runs["onset_step"].tolist() == [pd.NA] * 4 + [70] + [pd.NA] * 6
    assert runs["ema.decay"].dropna().tolist() == [0.9] * 5
    assert results.name == "demo"
    assert results.missing == 0


def test_runs_have_the_final_and_the_best_of_each_metric_by_its_direction(results):
    a, b = results.runs.iloc[:5], results.runs.iloc[5:10]
    assert a["final_modes"].tolist() == [8, 7, 6, 5, 1]  # the collapsed run keeps its value
    assert a["best_modes"].tolist() == [8, 7, 6, 5, 7]
    assert a["final_energy-distance"].tolist() == [0.1] * 4 + [0.9]
    assert a["best_energy-distance"].tolist() == [0.1] * 4 + [0.4]
    assert b["best_fid"].tolist() == b["final_fid"].tolist() == [10, 11, 12, 13, 14]
    assert b["final_modes"].isna().all()
    assert a["final_fid"].isna().all()


def test_a_run_that_never_trained_is_told_from_the_suite(results):
    row = results.runs.iloc[10]
    assert (row["reason"], row["model"], row["loss"], row["dataset"]) == (
        "no fit",
        "mlp-gan",
        "hinge",
        "ring",
    )
    assert (row["techniques"], row["steps"], row["budget"], row["suite"]) == ("plain", 0, 100, "demo")
    assert np.isnan(row["final_modes"])


def test_evaluations_and_traces_are_tidy(results):
    evaluations = results.evaluations
    assert evaluations.columns.tolist() == [
        *("key", "variant", "seed", "step", "metric", "value", "n", "extractor", "weights"),
        *("n_real", "dimensions", "extractor_digest"),
    ]
    assert len(evaluations) == 5 * 2 * 2 + 5 * 2
    one = evaluations[(evaluations["key"] == "ring/a:4") & (evaluations["metric"] == "modes")]
    assert one["value"].tolist() == [7, 1]
    assert one["seed"].tolist() == [4, 4]
    traces = results.traces
    assert traces.columns.tolist() == ["key", "variant", "seed", "step", "player", "loss"]
    assert len(traces) == 10 * 3 * 2
    assert set(traces["key"]) == set(results.runs["key"]) - {"c:0"}
    assert (
        traces["key"].astype(str) == traces["variant"].astype(str) + ":" + traces["seed"].astype(str)
    ).all()
    assert (traces["loss"] == traces["step"]).all()


def test_the_summary_is_one_row_a_variant_each_with_its_own_metric(results):
    summary = results.summary()
    assert summary.columns.tolist() == list(COLUMNS)
    a, b, c = (row for _, row in summary.iterrows())
    assert (a["variant"], a["runs"], a["failures"], a["outcomes"]) == (
        "ring/a",
        5,
        1,
        "4 finished, 1 collapsed",
    )
    assert (a["metric"], a["direction"], a["n"], a["level"]) == ("modes", "higher", 4, 0.875)
    assert (a["failure_low"], a["failure_high"]) == stats.wilson(1, 5)
    assert a["final"] == a["best"] == 6.5
    assert (a["final_low"], a["final_high"]) == (5, 8)
    assert a["ranked"] == 6, "the median of all five, of which one failed"
    assert (b["metric"], b["direction"], b["final"]) == ("fid", "lower", 12.0)
    assert 8 < b["final_low"] <= 10 < 14 <= b["final_high"] < 16
    assert (b["n"], b["level"]) == (5, 0.9375)
    assert (c["outcomes"], c["failure_rate"], c["n"], c["ranked"]) == ("1 incompatible", 1, 0, -np.inf)
    assert np.isnan([c["final"], c["final_low"], c["level"]]).all()


def test_the_summary_of_an_asked_metric(results):
    summary = results.summary("energy-distance").set_index("variant")
    assert summary["metric"].tolist() == ["energy-distance", "", "energy-distance"]
    assert summary.loc["ring/a", "final"] == pytest.approx(0.1)
    assert summary.loc["digits/b", ["final", "final_low", "best"]].isna().all()
    with pytest.raises(BadInput, match=r"no variant takes the metric 'mode'; did you mean 'modes'\?"):
        results.summary("mode")


def test_the_summary_does_not_depend_on_other_variants(results, tmp_path):
    whole = results.summary().set_index("variant").loc["digits/b"]
    alone = load(edit_lock(tmp_path / "demo", keys=[f"digits/b:{i}" for i in range(5)])).summary()
    assert alone["variant"].tolist() == ["digits/b"]
    pd.testing.assert_series_equal(alone.set_index("variant").loc["digits/b"], whole)


def test_values_are_of_the_runs_that_finished_and_an_order_counts_the_others_as_worst(tmp_path):
    config = variant_config("digits", "hinge", ["fid"])
    values = [{"fid": [1.0]}, {"fid": [5.0]}, {}, {"fid": [5.0]}, {"fid": [np.nan]}, {"fid": [6.0]}]
    add_stack(tmp_path, "v", config, values, outcomes=["diverged", *["finished"] * 5])
    summary = load(tmp_path).summary().iloc[0]
    assert (summary["final"], summary["final_low"], summary["final_high"]) == (5, 5, 6)
    assert (summary["failures"], summary["n"], summary["level"]) == (1, 3, 0.75)
    assert summary["ranked"] == 6, "of [5, 5, 6, inf, inf]; one run was not measured, and its rank is unknown"


def test_only_the_runs_that_the_suite_names_are_shown(tmp_path):
    results = load(edit_lock(demo(tmp_path), keys=["ring/a:0", "digits/b:2", "not-yet"], failed=[]))
    shown = {"ring/a:0", "digits/b:2"}
    assert set(results.runs["key"]) == set(results.evaluations["key"]) == set(results.traces["key"]) == shown
    assert results.missing == 1


def test_without_a_lock_everything_is_shown_and_metrics_count_as_lower(tmp_path):
    demo(tmp_path).joinpath("suite.lock.json").unlink()
    results = load(str(tmp_path))
    assert len(results.runs) == 10
    assert results.name == tmp_path.name
    assert results.missing == 0
    assert results.runs.set_index("key").loc["ring/a:0", "best_modes"] == 4
    assert results.summary()["direction"].tolist() == ["lower", "lower"]


def test_a_try_that_gave_a_result_replaces_one_that_crashed(tmp_path):
    config = variant_config("ring", "hinge", ["modes"])
    add_stack(tmp_path, "v", config, [{"modes": [1.0]}] * 2, outcomes=["crashed", "finished"], tag="0 first")
    add_stack(tmp_path, "v", config, [{"modes": [2.0]}], tag="then")
    results = load(tmp_path)
    assert results.runs["outcome"].tolist() == ["finished", "finished"]
    assert results.runs["final_modes"].tolist() == [2, 1]
    assert len(results.evaluations) == 2
    assert len(results.traces) == 2 * 6


def test_averaged_weights_count_where_a_run_has_both(tmp_path):
    folder = add_stack(
        tmp_path, "v", variant_config("ring", "hinge", ["fid"]), [{"fid": [9.0]}, {"fid": [8.0]}]
    )
    evals = folder.evals()
    folder.write_evals(pd.concat([evals[evals["run"] == 0].assign(weights="ema", value=12.0), evals]))
    runs = load(tmp_path).runs
    assert runs["final_fid"].tolist() == runs["best_fid"].tolist() == [12, 8]


def test_a_stack_that_still_trains_has_evaluations_and_traces_but_no_runs(tmp_path):
    add_stack(tmp_path, "v", variant_config("ring", "hinge", ["fid"]), [{"fid": [9.0]}], finished=False)
    results = load(tmp_path)
    assert results.runs.empty
    assert results.summary().empty
    assert list(results.summary().columns) == list(COLUMNS)
    assert len(results.evaluations) == 1
    assert len(results.traces) == 6


def test_a_suite_of_which_nothing_could_be_trained(tmp_path):
    (tmp_path / "x").mkdir()
    failed = [{"key": "k", "label": "v", "seed": 3, "outcome": "crashed", "reason": "boom"}]
    write_lock(tmp_path / "x", {"schema": 1, "suite": "s", "keys": ["k"], "failed": failed})
    results = load(tmp_path / "x")
    assert results.runs[["variant", "seed", "outcome"]].to_numpy().tolist() == [["v", 3, "crashed"]]
    assert results.summary()["metric"].tolist() == [""]
    assert results.evaluations.empty
    assert results.traces.empty


def test_unreadable_files_are_left_out_with_a_warning(tmp_path):
    demo(tmp_path)
    files = sorted(tmp_path.glob("stacks/ring-a-*/*.parquet"))
    assert [path.name[:5] for path in files] == ["evals", "runs.", "trace"]
    for path in files:
        path.write_bytes(path.read_bytes()[:50])
    results = load(tmp_path)
    assert results.runs["variant"].unique().tolist() == ["digits/b", "ring/c"]
    assert set(results.evaluations["variant"]) == set(results.traces["variant"]) == {"digits/b"}
    assert len(results.warnings) == 3
    assert results.missing == 5


def test_rows_of_runs_that_the_config_does_not_know_are_left_out(tmp_path):
    folder = add_stack(tmp_path, "v", variant_config("ring", "hinge", ["fid"]), [{"fid": [9.0]}])
    rows = folder.evals()
    folder.write_evals(pd.concat([rows, rows.assign(run=7), rows.assign(run=-1)]))
    assert load(tmp_path).evaluations["seed"].tolist() == [0]


def test_environments_are_told_once_each(results):
    assert results.environments == [{"packages": {"torch": "2.8"}, "commit": "abc"}]


@pytest.mark.parametrize(
    ("make", "ask", "message"),
    [
        (None, "none", r"none: no such folder of results; there are none"),
        ("quickstart", "quickstrat", r"no such folder of results; did you mean 'quickstart'\?"),
        (
            "other/quickstart/stacks",
            "",
            "there are no results here; give the folder that `ganbench run` named",
        ),
    ],
)
def test_a_folder_without_results_is_one_clear_sentence(tmp_path, make, ask, message):
    if make:
        demo(tmp_path / make)
    with pytest.raises(BadInput, match=message) as caught:
        load(tmp_path / ask)
    assert len(caught.value.problems) == 1


def test_a_file_an_empty_folder_and_a_newer_schema_are_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("file", "is a file: check an archive with `ganbench verify`"),
        ("empty", "give the folder that `ganbench run` named"),
    ):
        with pytest.raises(BadInput, match=message):
            load(tmp_path / name)
    edit_lock(demo(tmp_path / "new"), schema=2)
    with pytest.raises(
        BadInput, match=r"suite\.lock\.json: was written in schema 2; this ganbench reads schema 1"
    ):
        load(tmp_path / "new")


def test_the_notebook_form_escapes_names(tmp_path):
    label = "<script>alert(1)</script>"
    add_stack(tmp_path / "<b>", label, variant_config("ring", "hinge", ["fid"]), [{"fid": [9.0]}])
    shown = load(tmp_path / "<b>")._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.slow
def test_ten_thousand_runs_are_summarised_in_seconds(tmp_path):
    config = variant_config("ring", "hinge", ["fid"])
    for index in range(100):
        values = [{"fid": [float(seed), index + 0.5]} for seed in range(100)]
        add_stack(tmp_path, f"v{index}", config, values)
    start = time.perf_counter()
    results = load(tmp_path)
    summary = results.summary()
    assert time.perf_counter() - start < 10
    assert len(results.runs) == 10_000
    assert summary["final"].tolist() == [float(name[1:]) + 0.5 for name in summary["variant"]]


def test_no_training_code_is_imported():
    code = (
        "import sys, ganbench.results, ganbench.report, ganbench.judging.verdict\n"
        "print(sorted({'torch', 'pluggy', 'ganbench.plugins', 'ganbench.components'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert ganbench.load is ganbench.results.load
