"""Facts of a verdict are fields: rewording a message changes no verdict, row or page but in its words."""

from __future__ import annotations

import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from made_results import make
from test_verdict_battery import DIRECTIONS, FAILURES, GAN, RECOVERIES, STEPS, Run

from ganbench import load
from ganbench.judging import collapse, gradients, learning, oscillation, run_rows
from ganbench.judging.outcomes import Outcome, Remark, Verdict
from ganbench.judging.run_rows import failed_rows, verdicts
from ganbench.judging.thresholds import Thresholds
from ganbench.report.onsets import onset_texts
from ganbench.report.page.page import write_page
from ganbench.running.rejudge import verdict_of
from ganbench.storage.stack_folder import StackFolder, stack_folders

WORDS = ("reason", "remark")


def reworded(text: str) -> str:
    return f"« {text[::-1].upper()} »" if text else ""


@pytest.fixture
def reword(monkeypatch):
    """Have every sentence of a verdict say something else."""

    def verdict(*values: object, **named: object) -> Verdict:
        made = Verdict(*values, **named)
        return made._replace(reason=reworded(made.reason), remark=reworded(made.remark))

    def remark(behaviour: str, text: str) -> Remark:
        return Remark(behaviour, reworded(text))

    verdict.read = Verdict.read

    def start() -> None:
        for module in (collapse, gradients, learning, run_rows):
            monkeypatch.setattr(module, "Verdict", verdict)
        for module in (collapse, oscillation, run_rows):
            monkeypatch.setattr(module, "Remark", remark)

    return start


def facts(verdict: Verdict) -> dict[str, object]:
    return {name: value for name, value in verdict._asdict().items() if name not in WORDS}


def config(run: Run, **more: object) -> dict[str, object]:
    return {
        "verdict": {item.name: getattr(Thresholds(), item.name) for item in fields(Thresholds)},
        "variants": [{"steps": STEPS, "loss": {"name": "x"}}],
        "directions": DIRECTIONS,
        "critic": False,
        "judges": ["discriminator"],
        "modes": 8,
        "versions": {"loss x": {"distribution": "x.py", "version": "0", "packaged": False}},
        **more,
    }


def judged(run: Run, **more: object) -> Verdict:
    """The verdict on a run as it stands in its row."""
    trace, evals = tables(run)
    [verdict] = verdicts(config(run, **more), trace, evals, [STEPS])
    return verdict


def tables(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    steps = np.arange(1, STEPS + 1)
    trace = pd.concat(
        pd.DataFrame({"run": 0, "step": steps, "player": player, "weight_norm": 10.0, **columns})
        for player, columns in run.players.items()
    )
    evals = pd.concat(
        pd.DataFrame(
            {
                "run": 0,
                "step": np.arange(0, STEPS + 1, STEPS // (len(values) - 1)),
                "metric": metric,
                "value": values,
                "n": 2500,
            }
        )
        for metric, values in run.curves.items()
    )
    return trace, evals


@pytest.mark.parametrize(("spoil", "outcome", "players", "reason"), FAILURES)
def test_rewording_a_reason_changes_no_fact_of_a_verdict(spoil, outcome, players, reason, reword):
    def verdict() -> Verdict:
        run = Run(0, "plain", players)
        spoil(run, 3000)
        return judged(run)

    before = verdict()
    reword()
    after = verdict()
    assert before.outcome == outcome
    assert facts(after) == facts(before)
    assert after.reason != before.reason
    assert before.seen_by in ("trace", "evaluation")
    assert before.probe
    assert (before.player in players) == (before.seen_by == "trace")
    assert ("x.py" in after.reason) == ("x.py" in before.reason)  # a loss's owner is named by its fact


@pytest.mark.parametrize(("spoil", "remark"), RECOVERIES)
def test_rewording_a_remark_changes_no_fact_of_a_verdict(spoil, remark, reword):
    def verdict() -> Verdict:
        run = Run(0)
        spoil(run)
        return judged(run)

    before = verdict()
    reword()
    after = verdict()
    assert facts(after) == facts(before)
    assert before.behaviour == remark.partition(":")[0]
    row = {"outcome": "finished", "onset_step": None, "behaviour": after.behaviour}
    assert verdict_of(row) == ", ".join(filter(None, ("finished", before.behaviour)))


def test_a_metric_called_loss_is_no_loss():
    run = Run(0)
    run.curves["loss"] = np.where(np.arange(len(run.curves["fid"])) > 9, np.nan, 1.0)
    names = [*Thresholds().finite_metrics, "loss"]
    found = judged(run, verdict={"finite_metrics": names})
    assert (found.outcome, found.seen_by, found.probe) == ("diverged", "evaluation", "loss")
    assert "x.py" not in found.reason


def test_the_metric_has_its_recorded_name():
    run = Run(0)
    run.curves["active_units"] = np.zeros(len(run.curves["fid"]))
    assert judged(run).probe == "active_units"


# -- who judges


def won(player: str) -> Run:
    """A game whose judge is right on everything, and has no gradient left."""
    run = Run(0, "plain", GAN)
    judge = run.players.pop("discriminator")
    accuracy = np.where(np.arange(STEPS) > 2000, 1.0, 0.7)
    norm = judge["grad_norm"] * np.where(np.arange(STEPS) > 2000, 1e-6, 1.0)
    run.players[player] = {**judge, "real_accuracy": accuracy, "fake_accuracy": accuracy, "grad_norm": norm}
    return run


@pytest.mark.parametrize("player", ["critic", "discriminator", "detective"])
def test_a_judge_of_any_name_saturates_and_does_not_vanish(player):
    found = judged(won(player), judges=[player])
    assert (found.outcome, found.seen_by, found.player) == ("saturated", "trace", player)
    assert found.probe in ("real_accuracy", "fake_accuracy")


def test_who_does_not_judge_vanishes_whatever_its_name():
    found = judged(won("critic"), judges=[])
    assert (found.outcome, found.player, found.probe) == ("vanished", "critic", "grad_norm")


@pytest.mark.parametrize("player", ["critic_2", "discriminator", "detective"])
def test_a_folder_that_does_not_record_the_judges_goes_by_names_and_accuracies(player):
    run = won(player)
    trace, evals = tables(run)
    early = config(run)
    del early["judges"]
    [found] = verdicts(early, trace, evals, [STEPS])
    assert found.outcome == "saturated"
    [empty] = verdicts(early, pd.DataFrame(), evals, [STEPS])
    assert empty.outcome == "finished"


# -- what is stored


def test_a_verdict_is_read_from_json_of_this_version_and_an_earlier_one():
    verdict = Verdict(Outcome.EXPLODED, 3, "why", (3, 9), "", "trace", "vae", "grad_norm", "")
    stored = [*verdict[:3], list(verdict.evidence), *verdict[4:]]
    assert Verdict.read(stored) == verdict
    assert Verdict.read(stored[:5]) == Verdict(Outcome.EXPLODED, 3, "why", (3, 9))
    assert Verdict.read(["finished"]).outcome is Outcome.FINISHED
    with pytest.raises(ValueError, match="unheard-of"):
        Verdict.read(["unheard-of"])


@pytest.mark.parametrize(("outcome", "seen_by"), [("timed_out", "clock"), ("crashed", "")])
def test_what_had_no_verdict_is_seen_by_the_clock_or_by_nothing(tmp_path, outcome, seen_by):
    [folder] = stack_folders(make(tmp_path, 1, 2))
    rows = failed_rows(folder, Outcome(outcome), "because")
    assert {(row["outcome"], row["seen_by"], row["player"], row["probe"]) for row in rows} == {
        (outcome, seen_by, "", "")
    }


def with_facts(folder: StackFolder) -> None:
    """Have the made rows of a stack say what showed each failure, as today's version does."""
    runs = folder.runs()
    by_metrics = runs["outcome"].isin(["collapsed", "unstable"])
    runs["seen_by"] = np.where(by_metrics, "evaluation", np.where(runs["outcome"] == "finished", "", "trace"))
    runs["probe"] = np.where(by_metrics, "energy-distance", "grad_norm")
    folder.write_runs(runs.assign(player="", behaviour=""))


OUTCOMES = [{"collapsed": 0.5}, {"diverged": 0.5}, {"exploded": 0.4}, {"unstable": 0.4}, {"saturated": 0.5}]
PLAIN, TRAP = "modes were not where it was said", "fid was not finite from step 9 o"
"""Two reasons of one length, so that a page breaks its lines alike."""


def test_rewording_reasons_changes_a_page_in_these_words_alone(tmp_path):
    pages, onsets, root = [], [], tmp_path / "made"
    for reason in (PLAIN, TRAP):
        make(root, len(OUTCOMES), 4, outcomes=OUTCOMES, trace_steps=40, seed=1, reason=reason)
        for folder in stack_folders(root):
            with_facts(folder)
        results = load(root)
        pages.append(write_page(results, tmp_path).read_text())
        onsets.append(onset_texts(results))
        shutil.rmtree(root)
    assert onsets[0] == onsets[1]
    assert onsets[0]
    assert PLAIN in pages[0]
    assert pages[0] == pages[1].replace(TRAP, PLAIN)
