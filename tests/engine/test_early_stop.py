"""Hopeless runs are stopped where a suite asks for it: neither neighbours nor statistics notice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from run_cli import TOY, assert_same_rows, ganbench_here, rows
from test_resume import Killed, kill_at_write
from test_verdict import evaluations, healthy, verdict

import ganbench
from ganbench.judging.thresholds import Thresholds
from ganbench.storage.stack_folder import stack_folders

# one worker trains what most of them look at
pytestmark = [pytest.mark.usefixtures("without_page"), pytest.mark.xdist_group("early stop")]

TOUCHY = ("--set", "verdict.explode_ratio=1.5", "--set", "verdict.explode_steps=5")
"""By these thresholds, half of the seeds explode just after step 200."""
TOYS = (
    *("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]", "--steps", 400),
    *("--set", "defaults.evaluate.every=100", "--workers", 1, "--seeds", "0,1,2,3", *TOUCHY),
)
STOP = ("--set", "verdict.stop=true")
BAD, GOOD = [1, 3], [0, 2]


def run(out: Path, *args: object, engine: str = "loop") -> Path:
    done = ganbench_here(*TOYS, "--engine", engine, "--out", out, *args)
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="module", params=["loop", pytest.param("eager", marks=pytest.mark.slow)])
def pair(request, tmp_path_factory):
    """The folders of an undisturbed stack and of one with stopping, by the same engine."""
    root = tmp_path_factory.mktemp(request.param)
    return (
        run(root / "whole", engine=request.param),
        run(root / "stopped", *STOP, engine=request.param),
    )


def of(frame: pd.DataFrame, seeds: list[int], until: int = 400) -> pd.DataFrame:
    kept = frame["seed"].isin(seeds)
    if "key" in frame and "outcome" not in frame:
        kept &= frame["step"] <= until
    return frame[kept].reset_index(drop=True)


def test_by_default_nothing_is_stopped(pair):
    assert not Thresholds().stop
    whole = ganbench.load(pair[0]).runs
    assert set(whole["steps"]) == {400}
    assert whole["outcome"].tolist() == ["finished", "exploded", "finished", "exploded"]


def test_a_stopped_run_is_the_failure_that_it_was_with_its_onset(pair):
    whole, stopped = (ganbench.load(path).runs.set_index("seed") for path in pair)
    for name in ("key", "outcome", "onset_step", "evidence_first", "evidence_last", "budget"):
        assert whole[name].tolist() == stopped[name].tolist()
    assert stopped["steps"].tolist() == [400, 300, 400, 300]
    for seed in BAD:
        assert stopped.loc[seed, "reason"] == whole.loc[seed, "reason"] + "; stopped at step 300"


def test_its_rows_end_there_and_its_neighbours_are_bitwise_the_same(pair):
    whole, stopped = (rows(path) for path in pair)
    for name in ("traces", "evaluations"):
        assert_same_rows({name: of(whole[name], GOOD)}, {name: of(stopped[name], GOOD)})
        assert_same_rows({name: of(whole[name], BAD, 300)}, {name: of(stopped[name], BAD)})
    ignoring = ["reason", "steps"]
    assert_same_rows(
        {"runs": of(whole["runs"], GOOD)}, {"runs": of(stopped["runs"], GOOD)}, ignoring=ignoring
    )


def test_failures_are_counted_and_censored_as_if_they_had_gone_on(pair):
    whole, stopped = map(ganbench.load, pair)
    pd.testing.assert_frame_equal(whole.summary(), stopped.summary())
    ours = ["reached", "step"]
    times = [results.time_to("toy-mean", 1e9).set_index("seed") for results in (whole, stopped)]
    pd.testing.assert_frame_equal(times[0][ours], times[1][ours])
    assert times[1].loc[BAD, "step"].tolist() == [400, 400]
    assert not times[1].loc[BAD, "reached"].any()
    assert np.isfinite(times[1]["seconds"]).all()


def test_training_ends_when_every_run_is_hopeless(tmp_path):
    out = run(tmp_path, *STOP, "--seeds", "1,3,4")
    [folder] = stack_folders(out)
    assert folder.status() == {"state": "finished", "step": 300, "steps": 400}
    assert folder.traces()["step"].max() == 300
    assert set(ganbench.load(out).runs["outcome"]) == {"exploded"}


@pytest.mark.slow
def test_interrupted_at_any_write_it_ends_in_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("ganbench.engine.train.CHECKPOINT_SECONDS", 0.0)
    args = (*STOP, "--seeds", "0,1")
    whole = rows(run(tmp_path / "whole", *args))
    assert sorted(whole["runs"]["steps"]) == [300, 400]
    for number in range(11, 99, 8):
        out, killed = tmp_path / f"out{number}", kill_at_write(number)
        with mock.patch("ganbench.storage.stack_folder.write_atomic", killed):
            try:
                run(out, *args)
            except Killed:
                pass
            else:
                break  # there are no more writes
        assert_same_rows(whole, rows(run(out, *args)))
    assert 30 < number < 90


def test_what_was_stopped_never_becomes_finished(tmp_path):
    """Nor does it matter in which order it is judged by what."""
    out = run(tmp_path, *STOP)
    before = rows(out)
    assert ganbench_here("judge", out, "--set", "verdict.explode_ratio=100.0").code == 0
    assert ganbench_here("judge", out, "--set", "verdict.stop=false").code == 0
    runs = ganbench.load(out).runs.set_index("seed")
    assert runs["outcome"].tolist() == ["finished", "exploded", "finished", "exploded"]
    assert set(runs.loc[BAD, "remark"]) == {"stopped by other thresholds: by these it had not failed yet"}
    assert runs.loc[BAD, "reason"].str.endswith("; stopped at step 300").all()
    assert ganbench_here("judge", out, "--set", "verdict.explode_ratio=1e9").code == 0
    pd.testing.assert_frame_equal(runs.reset_index(), ganbench.load(out).runs[["seed", *runs.columns]])
    assert ganbench_here("judge", out, "--reset").code == 0
    assert_same_rows(before, rows(out))


def test_a_suite_that_stops_no_more_trains_the_new_runs_only(tmp_path):
    out = run(tmp_path, *STOP)
    run(out, "--seeds", "0,1,2,3,4")
    steps = ganbench.load(out).runs.set_index("seed")["steps"]
    assert steps.tolist() == [400, 300, 400, 300, 400]
    config = json.loads(next(iter(sorted(out.glob("stacks/*/config.json")))).read_text())
    assert config["verdict"]["stop"] is False


# ---- what is hopeless


def half(run: dict[str, pd.DataFrame], steps: int) -> dict[str, pd.DataFrame]:
    return {player: rows[:steps] for player, rows in run.items()}


def test_what_nothing_undoes_is_hopeless_at_once():
    run = healthy(6)
    run["discriminator"]["logit_gap"] = 5.0
    run["generator"]["grad_norm"] = 1.0
    run["generator"].loc[1999:, "grad_norm"] = 5e-4
    early = verdict(half(run, 2600), stopped=True)
    late = verdict(run)
    assert early[:2] == late[:2] == ("vanished", 2000)
    assert verdict(half(run, 2400), stopped=True).outcome == "finished"


@pytest.mark.parametrize("curve", [{"modes": [8, 8, *[1] * 18]}, {"fid": [90, 9, *[90] * 18]}])
def test_a_fall_is_hopeless_after_half_of_the_budget(curve):
    """A collapse may be followed by a recovery: it must have lasted."""
    evals = evaluations(**curve)
    trace = healthy(0)
    outcome = "collapsed" if "modes" in curve else "unstable"

    def at(step: int, **thresholds: float) -> str:
        return verdict(
            half(trace, step),
            evals[evals["step"] <= step],
            stopped=True,
            thresholds=dataclasses.replace(Thresholds(stop=True), **thresholds),
        ).outcome

    # from 750 on: for 2,500 steps at 3,250
    assert [at(step) for step in (1000, 3000, 3250, 4000)] == ["finished", "finished", outcome, outcome]
    assert [at(step, stop_share=0.1) for step in (1000, 1250)] == ["finished", outcome]
    assert at(5000 - 250, stop_share=1.0) == "finished"


def test_a_run_that_has_trained_its_budget_is_judged_as_ever():
    evals = evaluations(modes=[8] * 9 + [1])
    assert verdict(evals=evals, stopped=True) == verdict(evals=evals)
    assert verdict(evals=evals).outcome == "collapsed"
