"""What stacks of one structure share in one process."""

from __future__ import annotations

import dataclasses
import json
from unittest import mock

import pytest
import torch
from torch.utils import _pytree as pytree
from toys import ToyLoss, ToyPenalty, variant

from ganbench.components.optimizers import OPTIMIZERS
from ganbench.engine import build
from ganbench.engine.build import Builder, Way
from ganbench.engine.data import Sources
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.executors import Eager
from ganbench.game.draws import CHUNK

ENGINE = {"mapper": "map", "executor": "eager", "device": "cpu", "size": 2, "threads": 1}
PENALISED = {"techniques": ("toy-penalty",)}

PARTS = {cls.name: cls for cls in (ToyLoss, ToyPenalty)}


def _defaults(cls):
    return json.loads(json.dumps(dataclasses.asdict(cls())))


def stack(values=({}, {}), engine=ENGINE, **how):
    """A stack's config, as far as a builder reads it."""
    chosen = {**variant(**how), "dataset": {"name": "toy-blob", "options": {}}}
    for entry in (chosen["loss"], *chosen["techniques"]):
        entry["options"] = _defaults(PARTS[entry["name"]]) | entry["options"]
    for player, table in chosen["optimizer"].items():
        chosen["optimizer"][player] = _defaults(OPTIMIZERS[table["name"]]) | table
    return {"variants": [chosen] * len(values), "values": list(values), "engine": dict(engine)}


def trained(builder, config, seeds):
    """The stack's trainer, 70 steps on, and all that it has by then."""
    structure = builder.structure(config)
    trainer = builder.trainer(structure, Runs(seeds, tuple(config["values"])), config["engine"])
    assert trainer.step == 0
    probes = torch.cat([trainer.advance(CHUNK), trainer.advance(6)])
    return trainer, [probes, *(tensor.clone() for tensor in pytree.tree_leaves(trainer.state()))]


@pytest.fixture
def prepared():
    """Counts what is done once a structure."""
    with (
        mock.patch.object(Eager, "prepare", autospec=True, side_effect=Eager.prepare) as prepare,
        mock.patch.object(build, "why_not_mappable", side_effect=build.why_not_mappable) as check,
    ):
        yield lambda: (check.call_count, prepare.call_count - check.call_count)


def builder(toys):
    return Builder(toys, Sources(toys))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"precision": "float32"},
        {"options": {"toy-gan": {"norm": True}}},
        {"optimizer": {"name": "sgd", "lr": 0.1}},
    ],
    ids=repr,
)
def test_the_second_stack_of_a_structure_is_not_prepared_anew(toys, prepared, how):
    shared = builder(toys)
    first, _ = trained(shared, stack(**how), (0, 1))
    second, reused = trained(shared, stack(**how), (7, 3))
    assert second is first
    assert prepared() == (1, 1)
    _, anew = trained(builder(toys), stack(**how), (7, 3))
    assert all(map(torch.equal, reused, anew))


def test_swept_values_are_those_of_the_stack(toys, prepared):
    shared, path = builder(toys), "toy-penalty.weight"
    trained(shared, stack([{path: 0.0}, {path: 1.0}], **PENALISED), (0, 1))
    _, reused = trained(shared, stack([{path: 2.0}, {path: 3.0}], **PENALISED), (0, 1))
    assert prepared() == (1, 1)
    _, anew = trained(builder(toys), stack([{path: 2.0}, {path: 3.0}], **PENALISED), (0, 1))
    assert all(map(torch.equal, reused, anew))


OTHERS = {
    "a constant": stack(options={"toy-penalty": {"weight": 2.0}}, **PENALISED),
    "what is swept": stack([{"toy-penalty.damping": 0.1}] * 2, **PENALISED),
    "the learning rate": stack(optimizer={"name": "adam", "lr": 0.1, "betas": [0.5, 0.999]}, **PENALISED),
    "the model": stack(options={"toy-gan": {"width": 5}}, **PENALISED),
    "the batch": stack(batch=4, **PENALISED),
    "the size": stack([{}] * 3, {**ENGINE, "size": 3}, **PENALISED),
    "the number of runs": stack([{}], **PENALISED),
    "the precision": stack(precision="float32", **PENALISED),
    "the way": stack(engine={**ENGINE, "mapper": "loop"}, **PENALISED),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_structure_is_prepared_for_itself(toys, other):
    shared, seeds = builder(toys), tuple(range(len(other["values"])))
    first, _ = trained(shared, stack(**PENALISED), (0, 1))
    trainer, after = trained(shared, other, seeds)
    assert trainer is not first
    _, anew = trained(builder(toys), other, seeds)
    assert all(map(torch.equal, after, anew))


def test_what_cannot_be_mapped_is_found_out_once(toys):
    shared = builder(toys)
    with mock.patch.object(build, "why_not_mappable", return_value="it looks at numbers") as check:
        assert isinstance(trained(shared, stack(), (0, 1))[0], Looped)
        assert isinstance(trained(shared, stack(), (2, 3))[0], Looped)
    assert check.call_count == 1
    assert shared.structure(stack()).way == Way("loop", "eager", "it looks at numbers")


def test_what_failed_is_forgotten(toys, prepared):
    shared = builder(toys)
    first, _ = trained(shared, stack(), (0, 1))
    shared.forget()
    second, _ = trained(shared, stack(), (0, 1))
    assert isinstance(second, Mapped)
    assert second is not first
    assert prepared() == (2, 2)
