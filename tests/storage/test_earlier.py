"""Rows of runs from before verdicts had the columns seen_by, player, probe and behaviour."""

from __future__ import annotations

import pandas as pd
import pytest

from ganbench.storage.earlier import FACTS, WAYS, completed_rows, completed_ways

ROWS = [
    ("finished", "", "", ("", "", "", "")),
    ("finished", "", "oscillating: d gap …; recovered: fid …", ("", "", "", "oscillating, recovered")),
    ("crashed", "loss 'x' of y.py raised ValueError: fid was bad", "", ("", "", "", "")),
    ("timed_out", "the stack took longer than 1 s and was stopped", None, ("clock", "", "", "")),
    (
        "diverged",
        "vae loss became non-finite at step 3 (loss 'elbo' of x 1)",
        "",
        ("trace", "vae", "loss", ""),
    ),
    ("diverged", "vae weight norm became non-finite at step 3", "", ("trace", "vae", "weight_norm", "")),
    ("diverged", "fid was not finite from step 50 on", "", ("evaluation", "", "fid", "")),
    (
        "exploded",
        "critic gradient norm rose from a median of 1 to 2",
        "",
        ("trace", "critic", "grad_norm", ""),
    ),
    ("vanished", "generator gradient norm fell from …", "", ("trace", "generator", "grad_norm", "")),
    (
        "saturated",
        "discriminator accuracies on real and on fake …",
        "",
        ("trace", "discriminator", "real_accuracy", ""),
    ),
    ("collapsed", "mode collapse: 3 of 8 modes from step 5 on", "", ("evaluation", "", "modes", "")),
    ("collapsed", "mode collapse: at most 3 of 1000 modes (…)", "", ("evaluation", "", "stacked-modes", "")),
    ("collapsed", "mode collapse: coverage was 0.1 at step 5", "", ("evaluation", "", "coverage", "")),
    (
        "collapsed",
        "posterior collapse: 0 active units from step 5 on",
        "",
        ("evaluation", "", "active-units", ""),
    ),
    (
        "unstable",
        "fid was 9 at step 5, 1 at its best before; stopped at step 9",
        "",
        ("evaluation", "", "fid", ""),
    ),
    (
        "collapsed",
        "unheard of",
        "stopped by other thresholds: …",
        ("evaluation", "", "", "stopped_by_other_thresholds"),
    ),
]


def frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame([row[:3] for row in rows], columns=["outcome", "reason", "remark"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:30])
def test_the_facts_are_read_from_the_sentences_of_then(row):
    found = completed_rows(frame([row]))
    assert tuple(found.loc[0, list(FACTS)]) == row[3]


def test_rows_of_today_are_left_alone():
    new = frame(ROWS[4:5]).assign(seen_by="clock", player="p", probe="q", behaviour="r")
    assert completed_rows(new) is new
    both = pd.concat([new, frame(ROWS[6:7])], ignore_index=True)
    found = completed_rows(both)
    assert found[list(FACTS)].to_numpy().tolist() == [["clock", "p", "q", "r"], ["evaluation", "", "fid", ""]]


def test_rows_without_a_reason_are_completed_too():
    found = completed_rows(pd.DataFrame({"outcome": ["collapsed", "exploded"]}))
    assert found["seen_by"].tolist() == ["evaluation", "trace"]


def test_how_earlier_runs_were_trained():
    """Where they trained run by run, `executor` was "eager"; why not as planned was not recorded."""
    ways = {"executor": ["eager", "compiled", None], "mapper": ["loop", "map", None]}
    found = completed_ways(pd.DataFrame({"outcome": ["finished"] * 3, **ways, **dict.fromkeys(WAYS)}))
    assert found["executor"].tolist()[:2] == ["loop", "compiled"]
    assert pd.isna(found["executor"][2])
    assert set(found[list(WAYS)].to_numpy().flatten()) == {""}


def test_how_runs_of_today_were_trained():
    row = {"outcome": "finished", "executor": "eager", "mapper": "map"}
    row |= {"planned_executor": "compiled", "executor_reason": "no compiler"}
    assert completed_ways(pd.DataFrame([row])).to_dict("records") == [row]
