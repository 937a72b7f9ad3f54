"""Several folders as one: the same run counts once, what differs is told, labels stay apart."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from made_results import make

from ganbench import load
from ganbench.errors import BadInput
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock, write_lock

STEPS = {"steps": 100, "trace_steps": 10}


def finished(folder, variants=2, seeds=3, **options):
    return make(folder, variants, seeds, outcomes=[{}], **STEPS, **options)


def edit_runs(folder, index=0, **changes):
    """Change the first row of the runs of a stack."""
    stack = stack_folders(folder)[index]
    rows = stack.runs().to_dict("records")
    rows[0] |= changes
    stack.write_runs(rows)


def test_two_machines_with_other_seeds_become_one_suite(tmp_path):
    one, other = finished(tmp_path / "one", seeds=[0, 1, 2]), finished(tmp_path / "other", seeds=[3, 4])
    results = load(one, other)
    apart = load(one), load(other)
    assert results.runs["seed"].tolist() == [0, 1, 2, 3, 4] * 2
    assert results.summary()["n"].tolist() == [5, 5]
    for name in ("runs", "evaluations", "traces"):
        assert len(getattr(results, name)) == sum(len(getattr(each, name)) for each in apart)
    assert results.name == "made"
    assert results.missing == 0
    assert results.warnings == []
    assert results.lock["compare"]["metric"] == "modes"


def test_the_same_runs_in_two_folders_count_once(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    results, alone = load(one, other), load(one)
    assert results.warnings == []
    assert len(results.runs) == 6
    for name in ("runs", "evaluations", "traces", "sheets"):
        pd.testing.assert_frame_equal(getattr(results, name), getattr(alone, name), check_categorical=False)
    pd.testing.assert_frame_equal(results.compare(), alone.compare())


def test_a_folder_given_twice_is_loaded_once(tmp_path):
    finished(tmp_path / "one")
    results = load(tmp_path / "one", str(tmp_path / "." / "one"), tmp_path)
    assert len(results.folders) == 2
    assert len(results.runs) == 6


def test_a_folder_of_suites_is_all_of_them(tmp_path):
    finished(tmp_path / "a", suite="a")
    finished(tmp_path / "b", suite="b", dataset="grid")
    (tmp_path / "notes").mkdir()
    results = load(tmp_path)
    assert results.name == "a + b"
    assert results.runs.groupby("suite").size().to_dict() == {"a": 6, "b": 6}
    assert [path.name for path in results.paths] == ["a", "b"]
    assert results.warnings == []


def test_copies_with_other_verdicts_are_told_and_the_first_is_taken(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    edit_runs(other, outcome="collapsed", onset_step=7)
    for first, second, outcome in ((one, other, "finished"), (other, one, "collapsed")):
        results = load(first, second)
        assert results.runs["outcome"][0] == outcome
        (warning,) = results.warnings
        assert warning.startswith(
            f"1 run differs between {first} and {second} (as ring/mlp-gan/hinge/plain, seed 0:"
        )
        assert warning.endswith(f"those of {first} are shown")
        assert "finished" in warning
        assert "collapsed" in warning


def test_copies_with_other_values_are_told(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    stack = stack_folders(other)[0]
    rows = stack.evals()
    rows.loc[0, "value"] = 3.0
    stack.write_evals(rows)
    (warning,) = load(one, other).warnings
    assert "1 run differs" in warning
    assert "modes" in warning
    assert "against 3 at step 25" in warning


def test_a_result_is_taken_before_none_whatever_the_order(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    edit_runs(one, outcome="crashed", steps=3)
    for paths in ((one, other), (other, one)):
        results = load(*paths)
        assert results.runs["outcome"].tolist() == ["finished"] * 6
        (warning,) = results.warnings
        assert warning.endswith(f"those of {other} are shown")
        keys = results.runs["key"]
        assert results.evaluations.groupby("key").size().reindex(keys).tolist() == [8] * 6


def test_one_label_for_different_things_is_two_variants(tmp_path):
    finished(tmp_path / "short", suite="short")
    make(tmp_path / "long", 2, 3, 200, [{}], suite="long", trace_steps=10)
    results = load(tmp_path)
    labels = results.runs["variant"].unique().tolist()
    start = "ring/mlp-gan/hinge"
    assert sorted(labels) == [
        f"{start}/{name} ({suite})" for name in ("plain", "technique-001") for suite in ("long", "short")
    ]
    assert results.summary()["n"].tolist() == [3] * 4
    assert results.runs.groupby("variant")["budget"].nunique().tolist() == [1] * 4
    assert sum("is shown apart" in text for text in results.warnings) == 2
    assert set(results.evaluations["variant"]) == set(labels) == set(results.configs)


def test_the_same_seed_under_another_key_is_not_the_same_experiment(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    for stack in stack_folders(other):  # as if trained with another version of a component
        keys = {key: f"{key[:-1]}x" for key in stack.config()["keys"]}
        stack.write_config({**stack.config(), "keys": list(keys.values())})
        rows = stack.runs()
        stack.write_runs(rows.assign(key=rows["key"].map(keys)))
    lock = read_lock(other)
    write_lock(other, {**lock, "keys": [f"{key[:-1]}x" for key in lock["keys"]]})
    results = load(one, other)
    assert results.summary()["n"].tolist() == [3] * 4
    assert results.runs["variant"].str.endswith((" (one)", " (other)")).all()


def test_folders_without_a_lock_can_be_merged(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other", seeds=[7, 8])
    (one / "suite.lock.json").unlink()
    results = load(one, other)
    assert results.summary()["n"].tolist() == [5, 5]
    assert results.directions["modes"] == "higher"


def test_missing_runs_of_all_folders_are_counted(tmp_path):
    one = make(tmp_path / "one", 3, 4, **STEPS, suite="one", unfinished=1)
    two = make(tmp_path / "two", 2, 4, **STEPS, suite="two", dataset="grid", unfinished=1)
    assert load(one, two).missing == 8
    assert load(one).missing == 4
    assert set(load(one).evaluations["variant"]) == set(load(one).configs)


def test_a_suite_that_has_only_just_begun_has_no_runs_yet(tmp_path):
    shutil.rmtree(finished(tmp_path / "new") / "stacks")
    results = load(tmp_path / "new")
    assert results.missing == 6
    assert results.runs.empty
    assert results.compare().empty
    assert results.survival().empty
    assert results.survival_tests().empty
    assert results.rank().empty
    assert results.curves().empty
    assert results.failures().empty
    assert results.sensitivity().empty
    assert "6 more have no result yet" in results._repr_html_()


@pytest.mark.parametrize("names", [("one", "other"), ("one", "one")])
def test_other_thresholds_are_told(tmp_path, names):
    """Between folders, and within one whose `judge` was interrupted."""
    folders = [finished(tmp_path / name, seeds=[seed]) for seed, name in enumerate(("one", "other"))]
    stacks = [stack for folder in folders[: len(set(names))] for stack in stack_folders(folder)]
    for stack, ratio in zip((stacks[0], stacks[-1]), (100.0, 10.0), strict=True):
        stack.write_config({**stack.config(), "verdict": {"explode_ratio": ratio}})
    assert load(*(tmp_path / name for name in dict.fromkeys(names))).warnings == [
        "the runs were judged by different thresholds; `ganbench judge` judges them alike"
    ]


def test_another_schema_in_one_of_them_is_refused(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    write_lock(other, {**read_lock(other), "schema": 2})
    with pytest.raises(
        BadInput, match=r"other/suite\.lock\.json: was written in schema 2; .* reads schema 1"
    ):
        load(one, other)
    with pytest.raises(BadInput, match="no such folder of results; did you mean 'one'"):
        load(one, tmp_path / "onne")


def test_a_lock_that_cannot_be_read_is_told(tmp_path):
    folder = finished(tmp_path / "one")
    (folder / "suite.lock.json").write_text("{")
    results = load(folder)
    assert len(results.runs) == 6
    assert "suite.lock.json cannot be read and counts as absent" in results.warnings[0]
    shutil.rmtree(folder / "stacks")
    with pytest.raises(BadInput, match=r"there are no results here \(suite\.lock\.json cannot be read"):
        load(folder)


def test_evaluations_of_an_earlier_version_have_the_columns_with_nothing_in_them(tmp_path):
    folder = finished(tmp_path / "one")
    later = ["n_real", "dimensions", "extractor_digest"]
    for stack in stack_folders(folder):
        path = stack.path / "evals.parquet"
        pd.read_parquet(path).drop(columns=later).to_parquet(path)
    evaluations = load(folder).evaluations
    assert evaluations[later].isna().all(axis=None)
    assert evaluations.dtypes[["n_real", "dimensions"]].tolist() == ["Int64", "Int64"]
    mixed = load(folder, finished(tmp_path / "two", seeds=[5], extra={"n_real": 4})).evaluations
    assert sorted(mixed["n_real"].dropna().unique()) == [4]
    assert isinstance(stack_folders(folder)[0], StackFolder)
    assert json.loads((folder / "suite.lock.json").read_text())["schema"] == 1
    assert np.isfinite(mixed["value"]).all()
