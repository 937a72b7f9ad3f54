"""What `ganbench plan` says of components that break, or do not fit together, before anything is trained."""

from __future__ import annotations

import pytest
from run_cli import TESTS, TOY, ganbench_here

LOSS = """
from dataclasses import dataclass

import ganbench
from toys import ToyLoss


@dataclass(frozen=True)
class Breaking(ToyLoss):
    '''Fails in its first step.'''

    name = "breaking"

    def generator(self, out):
        raise ZeroDivisionError("no such step")


@ganbench.hookimpl
def ganbench_losses():
    return [Breaking]
"""


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)
    plugin = tmp_path / "breaking.py"
    plugin.write_text(LOSS)

    def planned(losses, *more):
        how = ("--set", f"matrix.loss={losses}", "--set", "matrix.techniques=[[]]", "--out", tmp_path / "out")
        return ganbench_here("plan", TOY, "--plugin", plugin, "--device", "cpu", *how, *more)

    return planned


def test_what_breaks_is_named_with_its_owner_and_has_no_prediction(planned):
    done = planned('["toy-loss", "breaking"]', "--json")
    [unmeasured] = done.json()["unmeasured"]
    assert "breaking" in unmeasured["label"]
    assert "loss 'breaking' of" in unmeasured["reason"]
    assert "ZeroDivisionError: no such step (breaking.py:" in unmeasured["reason"]
    predictions = {stack["label"]: stack["seconds"] for stack in done.json()["stacks"]}
    assert [label for label, seconds in predictions.items() if seconds is None] == [unmeasured["label"]]
    assert done.code == 1


def test_a_reader_is_told(planned):
    done = planned('["breaking"]')
    assert "cannot be measured: " in done.out
    assert "unknown" in done.out
    assert "without what cannot be measured" in done.out
    assert done.code == 1
    assert planned('["toy-loss"]').code == 0
