from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import variant

from ganbench.engine.program import Program
from ganbench.game import draws
from ganbench.game.draws import CHUNK, Draw, Order, draw, draw_steps, isolated_rng, stream

CPU = torch.device("cpu")
DECLARED = {"noise": Draw((3, 2)), "mix": Draw((4,), "uniform")}


def chunk(seeds, role="turn0", number=0, declared=DECLARED):
    steps = range(number * CHUNK, (number + 1) * CHUNK)
    return draw_steps(declared, seeds, role, steps, torch.float64, CPU)


def test_a_chunk_has_a_row_a_step_and_a_column_a_run():
    drawn = chunk((5, 6))
    assert {name: tuple(t.shape) for name, t in drawn.items()} == {
        "noise": (CHUNK, 2, 3, 2),
        "mix": (CHUNK, 2, 4),
    }
    assert drawn["noise"].dtype == torch.float64


def test_distributions():
    drawn = draw({"n": Draw((50_000,)), "u": Draw((50_000,), "uniform")}, 3, "role", torch.float64)
    assert abs(drawn["n"].mean()) < 0.02
    assert abs(drawn["n"].std() - 1) < 0.02
    assert drawn["u"].min() >= 0
    assert drawn["u"].max() < 1
    assert abs(drawn["u"].mean() - 0.5) < 0.01


def test_neighbours_do_not_matter():
    together = chunk((7, 0, 3))
    for column, seed in enumerate((7, 0, 3)):
        alone = chunk((seed,))
        for name in DECLARED:
            assert torch.equal(together[name][:, column], alone[name][:, 0])


def test_steps_drawn_one_by_one_are_those_of_a_chunk():
    together = chunk((7, 0), number=3)
    for step in range(CHUNK):
        for column, seed in enumerate((7, 0)):
            alone = draw(DECLARED, seed, "turn0", torch.float64, step=3 * CHUNK + step)
            for name in DECLARED:
                assert torch.equal(together[name][step, column], alone[name])


def test_a_draw_does_not_depend_on_others():
    declared = {**DECLARED, "another": Draw((3, 2))}
    with_another = chunk((1,), declared=declared)
    assert torch.equal(with_another["noise"], chunk((1,))["noise"])
    assert not (with_another["noise"] == with_another["another"]).any()


def test_a_seed_may_be_numpys():
    drawn = draw_steps(DECLARED, (np.int64(12345),), "turn0", range(2), torch.float32, CPU)
    draws._keys.cache_clear()  # equal seeds are one there
    again = draw_steps(DECLARED, (12345,), "turn0", range(2), torch.float32, CPU)
    assert all(torch.equal(drawn[name], again[name]) for name in DECLARED)


def test_nothing_may_be_drawn():
    assert draw({}, 0, "role", torch.float32) == {}
    assert draw({"none": Draw((0, 3))}, 0, "role", torch.float32)["none"].shape == (0, 3)
    assert draw({"number": Draw(())}, 0, "role", torch.float32)["number"].shape == ()


def test_order_of_declaration_does_not_matter():
    backwards = chunk((1,), declared=dict(reversed(DECLARED.items())))
    for name, tensor in chunk((1,)).items():
        assert torch.equal(tensor, backwards[name])


@pytest.mark.parametrize(
    "other",
    [
        {"seeds": (0,)},
        {"seeds": (2**40,)},
        {"role": "turn1"},
        {"number": 1},
        {"seeds": (11,), "role": "turn"},
    ],
)
def test_streams_differ(other):
    base = chunk((1,))["noise"]
    changed = chunk(**({"seeds": (1,)} | other))["noise"]
    assert not (base == changed).any()


def test_a_stream_is_told_by_all_of_its_key():
    # 1/12 and 11/2 must not meet
    keys = [(1, 12), (11, 2), (1, 1, 2), (112,), (0,), (1,), ("0", 0)]
    assert len({stream("cpu", *key).initial_seed() for key in keys}) == len(keys)


def test_a_chunk_is_reproducible():
    first, again = chunk((4, 9), number=17), chunk((4, 9), number=17)
    assert all(torch.equal(first[name], again[name]) for name in DECLARED)


def test_seed_zero_is_a_seed():
    assert all(torch.equal(chunk((0,))[name], chunk((0,))[name]) for name in DECLARED)
    assert not torch.equal(chunk((0,))["noise"], chunk((1,))["noise"])


def test_isolated_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    with isolated_rng(0, "a"):
        a = torch.randn(5)
    with isolated_rng(0, "a"):
        again = torch.randn(5)
    with isolated_rng(0, "b"):
        b = torch.randn(5)
    with isolated_rng(1, "a"):
        other = torch.randn(5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, again)
    assert not torch.equal(a, b)
    assert not torch.equal(a, other)


def _fail_inside():
    with isolated_rng(0):
        torch.rand(1)
        raise ZeroDivisionError


def test_isolated_puts_it_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        _fail_inside()
    assert torch.equal(torch.get_rng_state(), before)


def test_building_a_program_leaves_the_global_generator_alone(toys, blob):
    before = torch.get_rng_state()
    program = Program(variant(techniques=("toy-penalty",)), toys, blob)
    first, again, other = (program.initial(seed, {}) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.joint["generator"], again.joint["generator"])
    assert not torch.equal(first.joint["generator"], other.joint["generator"])


sizes = st.integers(1, 40)


@given(seed=st.integers(0, 2**63), size=sizes, batch=sizes, epoch=st.integers(0, 5))
def test_an_epoch_shows_a_sample_at_most_once(seed, size, batch, epoch):
    count = size // batch
    if count == 0:
        return
    rows = Order(seed, size, batch).indices(epoch * count, count)
    assert rows.shape == (count, batch)
    assert len(set(rows.flatten().tolist())) == count * batch
    assert rows.min() >= 0
    assert rows.max() < size


@given(seed=st.integers(0, 100), batches=st.integers(1, 5), batch=sizes)
def test_an_epoch_shows_every_sample_where_batches_fit(seed, batches, batch):
    rows = Order(seed, batches * batch, batch).indices(3 * batches, batches)
    assert sorted(rows.flatten().tolist()) == list(range(batches * batch))


@settings(max_examples=50)
@given(
    size=sizes,
    batch=sizes,
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    first=st.integers(0, 90),
)
def test_any_chunking_gives_the_same_order(size, batch, cuts, first):
    whole = Order(8, size, batch).indices(first, sum(cuts))
    going, parts = Order(8, size, batch), []
    for at, cut in enumerate(cuts):
        begin = first + sum(cuts[:at])
        parts.append(going.indices(begin, cut))
        assert torch.equal(Order(8, size, batch).indices(begin, cut), parts[-1])  # resumed there
    assert torch.equal(torch.cat(parts), whole)


def test_epochs_and_seeds_shuffle_differently():
    order = Order(0, 64, 64)
    assert not torch.equal(order.indices(0, 1), order.indices(1, 1))
    assert not torch.equal(order.indices(0, 1), Order(1, 64, 64).indices(0, 1))


def test_a_small_data_set_is_drawn_with_replacement():
    rows = Order(0, 3, 8).indices(0, 200)
    assert rows.shape == (200, 8)
    counts = torch.bincount(rows.flatten(), minlength=3)
    assert len(counts) == 3
    assert (counts > 1600 / 3 - 100).all()  # about 5 standard deviations
    assert len({tuple(row) for row in rows.tolist()}) > 190
