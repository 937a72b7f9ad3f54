"""GPUs of several models: a structure stays on one, and none of them idles."""

from __future__ import annotations

import json

import pytest
from run_cli import TOY, InlinePool, ganbench_here

from ganbench.machine import gpus
from ganbench.machine.gpus import Card, Gpu
from ganbench.planning.cards import Shares, Work, assigned

LARGE, SMALL = Card("H200", 140 * 10**9, (9, 0)), Card("T4", 16 * 10**9, (7, 5))


def machine(*cards):
    return tuple(Gpu(index, *card, visible=str(index)) for index, card in enumerate(cards))


def test_gpus_of_one_model_need_no_assignment():
    assert assigned({"a": Work(1.0, "")}, machine(LARGE, LARGE)) == {}
    assert assigned({"a": Work(1.0, "H200")}, ()) == {}


def test_the_load_of_a_gpu_decides():
    works = {name: Work(seconds, "") for name, seconds in {"a": 6.0, "b": 4.0, "c": 2.0}.items()}
    # two of the one, one of the other: a takes 3 s on the two, then b goes to the third
    assert assigned(works, machine(LARGE, SMALL, LARGE)) == {"a": "H200", "b": "T4", "c": "H200"}


def test_what_was_begun_stays_where_it_was():
    works = {"a": Work(6.0, ""), "b": Work(4.0, "T4"), "c": Work(4.0, "sold")}
    assert assigned(works, machine(LARGE, SMALL)) == {"b": "T4", "a": "H200", "c": "T4"}


@pytest.mark.parametrize(
    ("cards", "workers", "structures", "pieces"),
    [({}, 4, 1, 4), ({}, 4, 3, 2), ({}, 2, 5, 1), ({"a": "H200"}, 3, 1, 2), ({"a": "T4"}, 3, 1, 1)],
)
def test_no_worker_idles(cards, workers, structures, pieces):
    shares = Shares(cards, machine(LARGE, LARGE, SMALL), workers, structures)
    assert shares.pieces("a") == pieces


class Unstarted(InlinePool):
    """Is told the stacks and trains none."""

    def train(self, paths):
        return iter(())


def cards_of(out):
    found = {}
    for path in sorted(out.glob("stacks/*/config.json")):
        config = json.loads(path.read_text())
        found.setdefault(config["label"], []).append((config["engine"].get("card"), len(config["keys"])))
    return found


@pytest.mark.slow
def test_a_variant_stays_on_a_model_through_a_resume(tmp_path, monkeypatch, without_page):
    args = ("run", TOY, "--device", "cuda", "--out", tmp_path)
    monkeypatch.setattr(gpus, "_cards", lambda: (LARGE, LARGE, SMALL))
    ganbench_here(*args, "--seeds", 4, pool=Unstarted)
    before = cards_of(tmp_path)
    assert len(before) == 4
    assert all(len({card for card, _ in stacks}) == 1 for stacks in before.values())
    assert {card for stacks in before.values() for card, _ in stacks} == {"H200", "T4"}
    # more seeds, on a machine with one GPU fewer, and in another order
    monkeypatch.setattr(gpus, "_cards", lambda: (SMALL, LARGE))
    ganbench_here(*args, "--seeds", 6, pool=Unstarted)
    after = cards_of(tmp_path)
    for label, stacks in after.items():
        assert {card for card, _ in stacks} == {card for card, _ in before[label]}
        assert sum(runs for _, runs in stacks) == 6


def test_one_structure_is_cut_for_all_gpus(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "_cards", lambda: (LARGE, LARGE, LARGE))
    one = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]", "--seeds", 7)
    made = ganbench_here("plan", TOY, *one, "--device", "cuda", "--out", tmp_path, "--json").json()
    assert sorted(stack["runs"] for stack in made["stacks"]) == [2, 2, 3]
    made = ganbench_here("plan", TOY, *one, "--device", "cuda:1", "--out", tmp_path, "--json").json()
    assert [stack["runs"] for stack in made["stacks"]] == [7]
