"""`ganbench judge`: other verdicts without training, which stay in force."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from run_cli import TOY, Done, assert_same_rows, files_below, ganbench_here, rows
from test_resume import Killed, kill_at_write

import ganbench
from ganbench.judging.thresholds import Thresholds
from ganbench.storage.lock import FolderLock
from ganbench.storage.stack_folder import stack_folders

pytestmark = pytest.mark.usefixtures("without_page")

ONE = (
    *("--set", 'matrix.loss=["toy-loss"]', "--set", 'matrix.techniques=[["toy-penalty"]]'),
    *("--engine", "loop", "--workers", 1),
)
STRICT = tuple(
    argument
    for threshold in ("explode_ratio=0.0", "explode_steps=1", "history=5", "median_window=40")
    for argument in ("--set", f"verdict.{threshold}")
)


def run(out: Path, *args: object) -> Done:
    done = ganbench_here("run", TOY, *ONE, "--out", out, *args)
    assert done.code == 0, done.err
    return done


def judge(out: Path, *args: object) -> Done:
    done = ganbench_here("judge", out, *args)
    assert done.code == 0, done.err
    return done


def outcomes(out: Path) -> set[str]:
    return set(ganbench.load(out).runs["outcome"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge") / "out"
    run(folder)
    return folder


@pytest.fixture
def results(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "out"))


def test_other_thresholds_give_other_verdicts_without_training(results):
    before = rows(results)
    done = judge(results, *STRICT)
    lines = done.out.splitlines()
    assert lines[0].startswith("toy-blob/toy-gan/toy-loss/toy-penalty seed 0: finished -> exploded at 6 (")
    assert "gradient norm rose from a median of" in lines[0]
    assert lines[-1] == "2 of 2 verdicts changed"
    assert done.err == ""
    after = rows(results)
    assert set(after["runs"]["outcome"]) == {"exploded"}
    assert after["runs"]["evidence_first"].tolist() == after["runs"]["onset_step"].tolist() == [6, 6]
    assert (after["runs"]["evidence_last"] >= 6).all()
    changed = ["outcome", "onset_step", "reason", "evidence_first", "evidence_last"]
    changed += ["seen_by", "player", "probe"]
    assert_same_rows(before, after, ignoring=changed)
    assert "exploded" in (results / "report.md").read_text("utf-8")


def test_the_verdicts_are_those_of_a_suite_with_these_thresholds(results, tmp_path):
    judge(results, *STRICT)
    run(tmp_path / "other", *STRICT)
    assert_same_rows(rows(results), rows(tmp_path / "other"))


def test_a_later_run_does_not_flip_them_back(results):
    judge(results, *STRICT)
    files = files_below(results / "stacks")
    for _ in range(2):
        done = run(results)
        assert "2 runs, 2 of them already trained" in done.err
        assert files_below(results / "stacks") == files
    run(results, "--seeds", 3)  # what is new is judged by them as well
    assert outcomes(results) == {"exploded"}
    assert len(ganbench.load(results).runs) == 3


def test_the_suites_own_thresholds_count_again_once_they_change_or_are_asked_for(results):
    judge(results, *STRICT)
    run(results, "--set", "verdict.vanish_steps=7")
    assert outcomes(results) == {"finished"}
    run(results)
    assert outcomes(results) == {"finished"}
    judge(results, *STRICT)
    judge(results, "--set", "verdict.vanish_steps=9")  # a change of those in force
    assert outcomes(results) == {"exploded"}
    done = judge(results, "--reset")
    assert done.out.splitlines()[-1] == "2 of 2 verdicts changed"
    assert outcomes(results) == {"finished"}
    lock = json.loads((results / "suite.lock.json").read_text())
    assert lock["verdict"]["vanish_steps"] == 500
    assert "suite_verdict" not in lock


def test_judging_by_the_same_thresholds_changes_no_row(results):
    before = rows(results)
    assert judge(results).out == "0 of 2 verdicts changed\n"
    assert_same_rows(before, rows(results))


def test_rows_of_an_earlier_version_are_judged_by_todays_rules(results):
    [folder] = stack_folders(results)
    lacking = ["evidence_first", "evidence_last", "remark", "seen_by", "player", "probe", "behaviour"]
    old = folder.runs().drop(columns=lacking)
    folder.write_runs(old.assign(outcome="collapsed", onset_step=35, reason="as it was"))
    table = folder.table("runs.parquet").drop_columns(lacking)
    folder._write_table("runs.parquet", table)
    stored = folder.config()
    stored["verdict"] = {"vanish_steps": 500, "of_another_time": 1}
    folder.write_config(stored)
    assert outcomes(results) == {"collapsed"}
    assert "collapsed at 35 -> finished" in judge(results).out
    assert outcomes(results) == {"finished"}


def test_json_is_all_that_is_printed(results):
    done = judge(results, "--json", *STRICT)
    told = done.json()
    assert told["runs"] == 2
    assert told["thresholds"]["explode_steps"] == 1
    assert told["kept"] == []
    assert [(one["seed"], one["before"], one["after"]) for one in told["changed"]] == [
        (0, "finished", "exploded at 6"),
        (1, "finished", "exploded at 6"),
    ]
    assert {one["key"] for one in told["changed"]} == set(ganbench.load(results).runs["key"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["verdict.explode_ration=5"], "unknown threshold; did you mean 'explode_ratio'?"),
        (
            ["verdict.explode_ratio=high"],
            "verdict.explode_ratio: input should be a valid number (got 'high')",
        ),
        (["verdict.explode_ratio=-1.0"], "explode_ratio must be a finite number, 0 or more (got -1.0)"),
        (["verdict.explode_ratio=inf"], "explode_ratio must be a finite number, 0 or more (got inf)"),
        (["verdict.vanish_steps=0"], "vanish_steps must be 1 or more (got 0)"),
        (["verdict.vanish_steps=1.5"], "verdict.vanish_steps: input should be a valid integer"),
        (["verdict.stop=1"], "verdict.stop: input should be a valid boolean"),
        (["defaults.steps=5"], "only thresholds can be set: verdict.<name>=<value>"),
        (["verdict=5"], "only thresholds can be set: verdict.<name>=<value>"),
        (["verdict.stop.now=true"], "verdict.stop is not a table"),
        (["explode_ratio"], "must look like defaults.steps=100"),
    ],
)
def test_bad_thresholds_are_one_sentence_and_change_nothing(trained, args, message):
    before = files_below(trained)
    done = ganbench_here("judge", trained, *(part for text in args for part in ("--set", text)))
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert files_below(trained) == before


def test_an_unknown_threshold_is_answered_by_the_nearest_or_all_that_there_are(trained):
    every = ", ".join(sorted(item.name for item in fields(Thresholds)))
    for name, told in (("explode_ration", "did you mean 'explode_ratio'?"), ("x", f"choose from {every}")):
        done = ganbench_here("judge", trained, "--set", f"verdict.{name}=5")
        assert done.err == f"error: --set verdict.{name}=5: unknown threshold; {told}\n"


def test_a_folder_without_results_is_bad_input(tmp_path):
    for name in ("absent", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = ganbench_here("judge", tmp_path / name)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert not (tmp_path / "absent").exists()


def test_a_folder_in_use_is_left_alone(results):
    with FolderLock(results):
        before = files_below(results)
        done = ganbench_here("judge", results, *STRICT)
        assert done.code == 2
        assert "is in use by process" in done.err
        assert files_below(results) == before


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_text("{")], ids=["gone", "unreadable"]
)
def test_a_stack_is_judged_by_its_rows_whatever_became_of_its_status(results, damage):
    [folder] = stack_folders(results)
    damage(folder.path / "status.json")
    assert judge(results, *STRICT).out.endswith("2 of 2 verdicts changed\n")
    assert outcomes(results) == {"exploded"}


def test_without_its_traces_a_stack_keeps_its_verdicts(results):
    judge(results, *STRICT)
    [folder] = stack_folders(results)
    for _, _, part in folder.trace_parts()[-1:]:
        part.unlink()
    done = judge(results, "--reset")
    assert done.out == "0 of 0 verdicts changed\n"
    assert f"warning: {folder.path.name}: the rows that it was judged from are gone" in done.err
    assert outcomes(results) == {"exploded"}
    run(results)
    assert outcomes(results) == {"exploded"}


def test_killed_while_it_writes_the_next_judgement_completes_it(trained, tmp_path):
    whole = shutil.copytree(trained, tmp_path / "whole")
    judge(whole, *STRICT)
    for number in range(1, 4):  # the lock, the rows, the config
        for heal in ("judge", "run"):
            out = Path(shutil.copytree(trained, tmp_path / f"out{number}{heal}"))
            write = kill_at_write(number)
            with (
                mock.patch("ganbench.storage.atomic.write_atomic", write),
                mock.patch("ganbench.storage.stack_folder.write_atomic", write),
                pytest.raises(Killed),
            ):
                ganbench_here("judge", out, *STRICT)
            assert outcomes(out) <= {"finished", "exploded"}
            if number > 1:  # the thresholds are on disk: either command goes on from there
                judge(out) if heal == "judge" else run(out)
                assert_same_rows(rows(Path(whole)), rows(out))


def test_a_stack_that_goes_on_is_judged_by_what_is_in_force(tmp_path):
    out = tmp_path / "out"
    with mock.patch("ganbench.engine.train.StackTraining._finish", side_effect=Killed), pytest.raises(Killed):
        ganbench_here("run", TOY, *ONE, "--out", out)
    [folder] = stack_folders(out)
    assert folder.status()["state"] == "training"
    assert judge(out, *STRICT).out == "0 of 0 verdicts changed\n"
    run(out)
    assert outcomes(out) == {"exploded"}
    assert folder.config()["verdict"]["explode_steps"] == 1


def test_verdicts_of_several_stacks_are_told_by_variant_and_seed(tmp_path):
    out = tmp_path / "out"
    assert ganbench_here("run", TOY, "--engine", "loop", "--out", out).code == 0
    lines = judge(out, *STRICT).out.splitlines()
    runs = ganbench.load(out).runs
    assert lines[-1] == "8 of 8 verdicts changed"
    told = {line.split(": ")[0] for line in lines[:-1]}
    assert told == {f"{row.variant} seed {row.seed}" for row in runs.itertuples()}
    assert pd.isna(runs["onset_step"]).sum() == 0
