"""Results of which a part is lost or still missing: what is left counts, and what is not is told."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_results import make
from run_cli import TOY
from run_cli import ganbench_here as ganbench
from test_results import add_stack, variant_config

from ganbench import load, stats
from ganbench.cli.run import _conclude as conclude
from ganbench.errors import BadInput
from ganbench.storage.atomic import read_json
from ganbench.storage.stack_folder import StackFolder, lost_stacks, stack_folders

CUT = "cannot be read and counts as absent"
READERS = [
    ("compare", "{}"),
    ("leaderboard", "{}"),
    ("report", "{}"),
    ("export", "{}", "--to", "csv", "-o", "{}/out"),
    ("figure", "final-values", "{}", "-o", "{}/figure.svg"),
    ("figure", "gradient-norms", "{}", "-o", "{}/figure.svg"),
]
"""Commands that read results, and tell on the terminal what they could not read."""


def cut(path: Path) -> Path:
    """The file as a full disk leaves it."""
    path.write_bytes(path.read_bytes()[:50])
    return path


def read_by(arguments: tuple[str, ...], folder: Path):
    return ganbench(*(argument.format(folder) for argument in arguments))


def name_of(arguments: tuple[str, ...]) -> str:
    return " ".join(arguments[: 1 + (arguments[0] == "figure")])


every_reader = pytest.mark.parametrize("reader", READERS, ids=name_of)


@pytest.fixture
def made(tmp_path):
    return make(tmp_path / "made", 2, 5, outcomes=[{}, {"collapsed": 0.5}], trace_steps=5, seed=1)


@pytest.fixture
def half_lost(tmp_path):
    """One variant in two stacks of five runs, one failed run in each; the first has lost its values."""
    config = variant_config("ring", "hinge", ["fid"])
    outcomes = ["finished"] * 4 + ["collapsed"]
    for first, level in ((0, 1.0), (5, 100.0)):
        values = [{"fid": [level + seed]} for seed in range(5)]
        add_stack(tmp_path / "half", "v", config, values, outcomes=outcomes, first_seed=first)
    [first] = [one for one in stack_folders(tmp_path / "half") if one.config()["seeds"][0] == 0]
    cut(first.path / "evals.parquet")
    return tmp_path / "half"


# -- values that are lost


def test_runs_whose_values_are_lost_have_not_failed_and_lower_n(half_lost):
    summary = load(half_lost).summary().iloc[0]
    assert (summary["runs"], summary["failures"]) == (10, 2)
    # of the four others that finished nothing is known
    assert (summary["n"], summary["final"]) == (4, 101.5)
    assert summary["ranked"] == 102.5, "the two that collapsed count as worst"


def test_runs_whose_values_are_lost_are_in_no_comparison(half_lost):
    others = [{"fid": [50.0 + seed]} for seed in range(5)]
    add_stack(half_lost, "w", variant_config("ring", "hinge", ["fid"]), others)
    row = load(half_lost).compare().iloc[0]
    ours, theirs = np.array([100.0, 101, 102, 103, np.inf, np.inf]), np.arange(50.0, 55)
    assert (row["n"], row["n_other"], row["failures"]) == (6, 5, 2)
    assert row["p"] == stats.mann_whitney(ours, theirs).p
    assert row["effect"] == 0
    assert load(half_lost).rank()["mean_rank"].tolist() == [3, 8.5]


def test_a_variant_of_which_nothing_is_known_any_more_has_no_rank(made):
    stack = stack_folders(made)[0]
    cut(stack.path / "evals.parquet")
    results = load(made)
    ranks, board = results.rank(), results.leaderboard().frame
    assert ranks["rank"].tolist() == [1, pd.NA]
    assert board["rank"].tolist() == [1, pd.NA]
    assert board["missing"].tolist() == ["", "ring/modes"]
    assert results.summary().set_index("variant").loc[stack.config()["label"], "n"] == 0


def test_a_run_that_finished_without_the_metric_still_ranks_last(half_lost):
    """It was measured, but not by this one: that is no damage."""
    stack = next(one for one in stack_folders(half_lost) if one.config()["seeds"][0] == 5)
    rows = stack.evals()
    stack.write_evals(pd.concat([rows[rows["run"] > 0], rows[rows["run"] == 0].assign(metric="kid")]))
    summary = load(half_lost).summary("fid").iloc[0]
    assert (summary["n"], summary["ranked"]) == (3, np.inf)
    assert load(half_lost).runs.set_index("seed").loc[5, "measured"]


@every_reader
def test_lost_values_are_told_by_every_command(made, reader):
    path = cut(stack_folders(made)[0].path / "evals.parquet")
    done = read_by(reader, made)
    assert done.code == 0
    assert done.err.count(f"warning: {path} {CUT}") == 1


@pytest.mark.parametrize("reader", [READERS[2], READERS[3], READERS[5]], ids=name_of)
def test_lost_traces_are_told_by_whoever_reads_them(made, reader):
    path = cut(next(stack_folders(made)[0].path.glob("trace-*")))
    done = read_by(reader, made)
    assert done.code == 0
    assert done.err.count(f"warning: {path} {CUT}") == 1


@every_reader
def test_missing_runs_are_told_by_every_command(tmp_path, reader):
    folder = make(tmp_path / "made", 3, 4, trace_steps=5, unfinished=1)
    done = read_by(reader, folder)
    assert done.code == 0
    assert "warning: 4 of the suite's runs have no result yet and are left out" in done.err.splitlines()


# -- a stack that nobody knows any more


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text('{"keys": [')])
@every_reader
def test_a_stack_without_its_config_is_left_out_and_told(made, damage, reader):
    stack = stack_folders(made)[0]
    damage(stack.path / "config.json")
    assert lost_stacks(made) == [stack.path]
    results = load(made)
    assert (len(results.runs), results.missing) == (5, 5)
    done = read_by(reader, made)
    assert done.code == 0
    told = f"warning: {stack.path / 'config.json'} is missing or unreadable: the results of its runs are left"
    assert done.err.count(told) == 1


def test_a_folder_in_stacks_that_holds_no_rows_is_none(made):
    (made / "stacks" / "notes").mkdir()
    (made / "stacks" / "file").write_text("")
    assert lost_stacks(made) == []
    assert load(made).warnings == []
    assert lost_stacks(made / "none") == []


def test_lost_stacks_of_all_folders_are_told(tmp_path):
    folders = [make(tmp_path / name, 2, 3, suite=name, dataset=name, trace_steps=0) for name in ("a", "b")]
    for folder in folders:
        (stack_folders(folder)[0].path / "config.json").unlink()
    assert sum("config.json is missing" in text for text in load(*folders).warnings) == 2


# -- half characters


def spoil(path: Path) -> None:
    """Put half of a surrogate pair into every label, as another program may write it."""
    text = path.read_text("utf-8").replace("technique-001", "technique-\\ud83d")
    assert "\\ud83d" in text
    path.write_text(text, "utf-8")


@pytest.mark.parametrize("reader", READERS[:4], ids=name_of)
@pytest.mark.parametrize("files", [["config.json"], ["suite.lock.json"], ["config.json", "suite.lock.json"]])
def test_half_characters_break_nothing(made, reader, files):
    [stack] = [one for one in stack_folders(made) if "technique-001" in one.config()["label"]]
    for name in files:
        spoil((stack.path if name == "config.json" else made) / name)
    results = load(made)
    assert len(results.runs) == 10
    assert len(results.summary()) == 2
    for label in results.configs:
        label.encode("utf-8")
    done = read_by(reader, made)
    assert (done.code, done.err) == (0, "")


def test_half_characters_become_question_marks_in_keys_and_values(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"\\uDC00": ["a\\ud800", {"b": "\\ud83d\\ude00", "c": "\\\\ud800", "d": 1.5}]}')
    assert read_json(path) == ({"?": ["a?", {"b": "😀", "c": "\\ud800", "d": 1.5}]}, "")


# -- what is asked for


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_threshold_that_is_no_number_is_refused(made, value):
    done = ganbench("figure", "time-to-threshold", made, "--threshold", value, "-o", made / "a.svg")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        f"error: --threshold: {float(value):g} is not a value that a run can reach"
    ]
    assert not (made / "a.svg").exists()


def test_without_a_readable_lock_or_stack_there_are_no_results(made):
    (made / "suite.lock.json").write_text("{")
    for stack in stack_folders(made):
        (stack.path / "config.json").unlink()
    with pytest.raises(BadInput, match=r"there are no results here \(suite\.lock\.json cannot be read"):
        load(made)


# -- the end of a run


@pytest.mark.slow
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_a_run_ends_with_all_warnings(tmp_path, form):
    """What its report could not read, and what there is no result of."""
    arguments = ("run", TOY, "--engine", "loop", "--workers", 1, "--out", tmp_path, *form)
    assert ganbench(*arguments).code == 0
    first, second = (folder.path for folder in stack_folders(tmp_path)[:2])
    lost = [cut(first / "evals.parquet"), cut(next(second.glob("trace-*")))]
    done = ganbench(*arguments)
    assert done.code == 0
    for path in lost:
        assert done.err.count(f"warning: {path} {CUT}") == 1
    if form:
        assert {row["n"] for row in done.json()} == {0, 2}


def test_a_run_that_is_cut_short_tells_how_many_have_no_result(tmp_path, capsys):
    folder = make(tmp_path / "made", 3, 4, trace_steps=5, unfinished=1)
    session = SimpleNamespace(tracebacks={"one crashed": tmp_path / "traceback.txt"}, interrupted=True)
    assert conclude(session, folder, as_json=True) == 130
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "warning: 4 of the suite's runs have no result yet and are left out"
    assert told[1].startswith(f"traceback in {tmp_path / 'traceback.txt'}; ")
    assert told[2].startswith("interrupted; `ganbench")


def test_the_rows_of_a_lost_stack_are_not_touched(made):
    stack = stack_folders(made)[0]
    (stack.path / "config.json").unlink()
    before = sorted(path.name for path in stack.path.iterdir())
    load(made).summary()
    assert sorted(path.name for path in stack.path.iterdir()) == before
    assert isinstance(StackFolder(stack.path).runs(), pd.DataFrame)
    assert json.loads((made / "suite.lock.json").read_text())["suite"] == "made"
