"""One budget for all tables, and what a run takes is what is held."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils import _pytree as pytree
from toys import variant

from ganbench.components.data import Data
from ganbench.engine.data import RESIDENT_SHARE, resident_bytes, streamed_fields
from ganbench.engine.memory import Demand, chunk_bytes
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Runs


def tables(train=0, maps=0, source=0, test=0):
    def rows(count):
        return torch.zeros(count, 1, dtype=torch.uint8)

    return Data(train=rows(train), test=rows(test), maps=rows(maps), source=rows(source))


@pytest.mark.parametrize(
    ("sizes", "streamed"),
    [
        ({"train": 100, "maps": 100, "source": 99}, set()),
        # each would fit alone
        ({"train": 200, "maps": 120, "source": 101}, {"train"}),
        ({"train": 290, "maps": 295, "source": 299}, {"maps", "source"}),
        ({"train": 400, "maps": 10, "source": 10}, {"train"}),
        # held-out rows are always near
        ({"train": 200, "maps": 90, "test": 150}, {"train"}),
        ({"train": 20, "test": 900}, {"train"}),
    ],
)
def test_all_tables_share_one_budget(sizes, streamed):
    data = tables(**sizes)
    found = streamed_fields(data, 1000)
    assert {field for field in found if len(getattr(data, field))} == streamed
    resident = sum(count for field, count in sizes.items() if field not in streamed)
    assert resident_bytes(data, 1000) == resident
    assert resident <= RESIDENT_SHARE * 1000 or not set(sizes) - {"test"} - streamed


def test_on_a_cpu_everything_stays():
    data = tables(train=10**6)
    assert streamed_fields(data, math.inf) == frozenset()
    assert resident_bytes(data, math.inf) == 10**6


@pytest.mark.parametrize("model", ["toy-gan", "toy-duel"])
def test_a_chunk_takes_what_is_counted(toys, blob, model):
    loss = {"toy-gan": "toy-loss", "toy-duel": "toy-saddle"}[model]
    players = ("low", "high") if model == "toy-duel" else ("discriminator", "generator")
    program = Program(variant(model, loss, players=players), toys, blob)
    trainer = Looped(program, Runs((0,), ({},)), blob, torch.device("cpu"))
    trainer.load_chunk()
    held = sum(tensor.nbytes for tensor in pytree.tree_leaves(trainer._chunk))
    assert chunk_bytes(program, blob, math.inf) == held
    # where the table is streamed, its rows come with the chunk
    rows = 64 * len(program.turns) * program.batch_size * blob.train[:1].nbytes
    assert chunk_bytes(program, blob, 0) == held + rows


def test_the_parts_are_named_in_numbers():
    said = Demand(tables=5_000_000_000, draws=2_500_000_000, state=3_000_000).of(16e9)
    assert "of 16.0 GB" in said
    for part in ("the data 5.0 GB", "draws 2.5 GB", "its state 3.0 MB"):
        assert part in said
