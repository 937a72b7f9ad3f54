from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from toys import variant

from ganbench.components.optimizers import SGD, Adam, RMSprop
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.executors import Eager
from ganbench.game import Flow
from ganbench.game.nets import Layout
from ganbench.game.probes import (
    COSINE,
    LOGIT_PROBES,
    LOGITS,
    PLAYER_PROBES,
    Extras,
    Seen,
    columns,
    logit_probes,
    observe,
    row,
    rows,
)
from ganbench.game.step import ALONE, MASKED, State, train_step
from ganbench.game.update_rules import per_player

CPU = torch.device("cpu")
TURNS = (("a",), ("b",))
COLUMNS = [(player, probe) for player in "ab" for probe in PLAYER_PROBES]
STEPS, DEATH = 8, 5
NO_EXTRAS = Extras(Layout({}, {}))


def field(turn, joint, buffers, batch):
    """Losses and gradients as the batch says, and a buffer that counts turns."""
    gradients = {player: joint[player] * 0.5 + batch[f"{player}/gradient"] for player in turn}
    losses = {player: joint[player].square().sum() + batch[f"{player}/loss"] for player in turn}
    return Flow(
        gradients, {"n": {"count": buffers["n"]["count"] + 1}}, losses, {player: {} for player in turn}
    )


def beginning(rule, dtype):
    joint = {"a": torch.linspace(1, 2, 4, dtype=dtype), "b": torch.linspace(-1, 1, 3, dtype=dtype)}
    buffers = {"n": {"count": torch.zeros((), dtype=dtype)}}
    return State(joint, rule.init(joint), buffers, torch.zeros((), dtype=torch.float64))


def poison(at, kind, value, dtype):
    """Batches of one run; from step `at` on, `kind` (such as "a/loss") is `value`."""

    def one(k, name):
        return torch.tensor(value if k == at and name == kind else 0.0, dtype=dtype)

    names = [f"{player}/{what}" for player in "ab" for what in ("loss", "gradient")]
    return [{name: one(k, name) for name in names} for k in range(1, STEPS + 1)]


def train(guard, batches, optimizers, dtype=torch.float32, state=None, map_over=None):
    rule = per_player(optimizers)
    step = train_step(TURNS, field, rule, guard, NO_EXTRAS)
    state = state or beginning(rule, dtype)
    states, told = [], []
    for k, batch in enumerate(batches, 1):
        if guard is ALONE and state.died:
            break
        state, seen = step(state, [batch, batch], k)
        states.append(state)
        told.append(rows([seen], COLUMNS, dtype)[0])
    return states, told


ADAM = {"a": Adam(lr=0.1), "b": Adam(lr=0.1)}
POISONS = {
    "loss nan": ("a/loss", math.nan),
    "loss inf": ("b/loss", math.inf),
    "gradient nan": ("a/gradient", math.nan),
    "gradient -inf": ("b/gradient", -math.inf),
    # finite, its square is not: Adam's second moment would be infinite, and the run would stop silently
    "overflowing square": ("a/gradient", 1e25),
    "late overflowing square": ("b/gradient", 1e25),
}


def same_state(a, b):
    flat_a, flat_b = (torch.utils._pytree.tree_leaves((s.joint, s.memory, s.buffers)) for s in (a, b))
    return all(torch.equal(x, y) for x, y in zip(flat_a, flat_b, strict=True))


@pytest.mark.parametrize(("kind", "value"), POISONS.values(), ids=POISONS)
def test_a_masked_run_freezes_at_its_last_finite_state(kind, value):
    states, _ = train(MASKED, poison(DEATH, kind, value, torch.float32), ADAM)
    healthy, _ = train(MASKED, poison(0, kind, value, torch.float32), ADAM)
    assert [int(s.died) for s in states] == [0] * (DEATH - 1) + [DEATH] * (STEPS - DEATH + 1)
    assert all(same_state(s, h) for s, h in zip(states[: DEATH - 1], healthy, strict=False))
    end = states[-1]
    assert same_state(end, states[DEATH - 1])
    # the turns of the fatal step that came before the death count
    assert torch.equal(end.joint["b"], healthy[DEATH - 2].joint["b"])
    assert torch.equal(end.joint["a"], healthy[DEATH - (2 if kind.startswith("a") else 1)].joint["a"])
    assert all(tensor.isfinite().all() for tensor in (end.joint | end.memory).values())
    assert int(end.buffers["n"]["count"]) == 2 * (DEATH - 1) + kind.startswith("b")


@pytest.mark.parametrize(
    ("kind", "value"),
    [pytest.param(*poisoned, id=name) for name, poisoned in POISONS.items()],
)
def test_a_run_alone_freezes_at_the_same_state(kind, value):
    batches = poison(DEATH, kind, value, torch.float32)
    (*_, alone), rows = train(ALONE, batches, ADAM)
    masked, masked_rows = train(MASKED, batches, ADAM)
    assert int(alone.died) == DEATH
    assert len(rows) == DEATH
    assert same_state(alone, masked[-1])
    torch.testing.assert_close(rows, masked_rows[:DEATH], rtol=1e-6, atol=0, equal_nan=True)


def test_an_overflowing_update_is_caught():
    # gradient and loss are finite, the step is not
    fast = {"a": SGD(lr=1e30), "b": SGD(lr=0.1)}
    states, rows = train(MASKED, poison(DEATH, "a/gradient", 1e15, torch.float32)[DEATH - 1 :], fast)
    assert int(states[0].died) == 1
    assert torch.equal(states[-1].joint["a"], torch.linspace(1, 2, 4))
    told = dict(zip(COLUMNS, rows[0].tolist(), strict=True))
    assert math.isfinite(told["a", "grad_norm"])
    assert math.isfinite(told["a", "loss"])
    assert not math.isfinite(told["a", "update_norm"])


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1, weight_decay=0.1), RMSprop(lr=0.1, weight_decay=0.1)])
def test_a_square_that_weight_decay_makes_overflow_is_caught(optimizer):
    def flat(turn, joint, buffers, batch):
        zero = torch.zeros(())
        return Flow({"a": torch.ones_like(joint["a"])}, {}, {"a": zero}, {"a": {}})

    rule = per_player({"a": optimizer})
    joint = {"a": torch.full((4,), 1e21)}
    state = State(joint, rule.init(joint), {}, torch.zeros((), dtype=torch.float64))
    state, _ = train_step((("a",),), flat, rule, MASKED, NO_EXTRAS)(state, [{}], 1)
    assert int(state.died) == 1
    assert all(memory.isfinite().all() for memory in state.memory.values())


def test_a_square_that_float64_holds_is_no_divergence():
    states, _ = train(MASKED, poison(DEATH, "a/gradient", 1e25, torch.float64), ADAM, torch.float64)
    assert int(states[-1].died) == 0


@pytest.mark.parametrize("value", [math.nan, 1e25])
def test_neighbours_in_a_stack_stay_bitwise_unchanged(value):
    runs, victim, rule = 4, 2, per_player(ADAM)
    step = torch.vmap(train_step(TURNS, field, rule, MASKED, NO_EXTRAS), in_dims=(0, 0, None))
    begin = beginning(rule, torch.float32)

    def final(at):
        state = torch.utils._pytree.tree_map(
            lambda t: torch.stack([t * (1 + k / 7) for k in range(runs)]), begin
        )
        per_run = [
            poison(at if run == victim else 0, "a/gradient", value, torch.float32) for run in range(runs)
        ]
        told = []
        for k in range(1, STEPS + 1):
            batch = {name: torch.stack([one[k - 1][name] for one in per_run]) for name in per_run[0][0]}
            state, seen = step(state, [batch, batch], k)
            told.append(torch.vmap(partial(row, columns=COLUMNS))(seen))
        return state, torch.stack(told)

    (poisoned, rows), (healthy, healthy_rows) = final(DEATH), final(0)
    assert poisoned.died.tolist() == [0, 0, DEATH, 0]
    others = [run for run in range(runs) if run != victim]
    leaves = torch.utils._pytree.tree_leaves
    for a, b in zip(leaves(poisoned[:3]), leaves(healthy[:3]), strict=True):
        assert torch.equal(a[others], b[others])
        assert a[victim].isfinite().all()
        assert not torch.equal(a[victim], b[victim])
    assert torch.equal(rows[:, others], healthy_rows[:, others])


# -- a stack of tiny GANs


def gan_stack(toys, blob, trainer, **changes):
    config = variant(**({"optimizer": {"name": "adam", "lr": 1e-2}, "precision": "float32"} | changes))
    program = Program(config, toys, blob)
    extra = (Eager(),) if trainer is Mapped else ()
    rates = ((0.01, 1e36, 0.02), (0.01, 0.05, 0.02))
    stacks = [Runs((0, 1, 2), tuple({"optimizer.generator.lr": lr} for lr in chosen)) for chosen in rates]
    made = [trainer(program, runs, blob, CPU, *extra) for runs in stacks]
    return made, [t.advance(20) for t in made]


@pytest.mark.parametrize("trainer", [Looped, Mapped])
def test_a_diverging_gan_leaves_its_neighbours_alone(toys, blob, trainer):
    (wild, calm), (rows, calm_rows) = gan_stack(toys, blob, trainer)
    assert wild.died()[0] == wild.died()[2] == 0
    assert 1 <= wild.died()[1] <= 3
    leaves = torch.utils._pytree.tree_leaves
    for a, b in zip(leaves(wild.state()), leaves(calm.state()), strict=True):
        assert torch.equal(a[[0, 2]], b[[0, 2]])
        assert a[1].isfinite().all()
    assert torch.equal(rows[:, [0, 2]].nan_to_num(), calm_rows[:, [0, 2]].nan_to_num())


def bombed(toys, blob):
    """Two runs whose discriminators' values, not gradients, turn infinite (float64: both trainers agree)."""
    program = Program(variant(loss="toy-bomb", options={"toy-bomb": {"fuse": 0.3}}), toys, blob)
    runs = Runs((0, 1), ({}, {}))
    trainers = Looped(program, runs, blob, CPU), Mapped(program, runs, blob, CPU, Eager())
    return trainers, [trainer.advance(64) for trainer in trainers]


def test_a_value_that_is_infinite_while_its_gradient_is_finite_is_caught(toys, blob):
    (alone, mapped), (rows, mapped_rows) = bombed(toys, blob)
    assert alone.died() == mapped.died()
    for run, death in enumerate(mapped.died()):
        assert 1 < death < 64
        torch.testing.assert_close(rows[: death - 1, run], mapped_rows[: death - 1, run], equal_nan=True)
        column = alone.program.columns.index(("discriminator", "loss"))
        assert rows[death - 1, run, column].isinf()
        assert rows[death:, run].isnan().all()


def test_it_ends_in_the_same_state_either_way(toys, blob):
    (alone, mapped), _ = bombed(toys, blob)
    torch.testing.assert_close(alone.state(), mapped.state(), rtol=1e-9, atol=1e-9)


# -- probes


def test_probes_tell_norms_and_losses():
    states, rows = train(
        MASKED, poison(0, "", 0.0, torch.float64), {"a": SGD(lr=0.1), "b": SGD(lr=0.2)}, torch.float64
    )
    before, after = states[2], states[3]
    told = dict(zip(COLUMNS, rows[3].tolist(), strict=True))
    for player, lr in (("a", 0.1), ("b", 0.2)):
        norm = before.joint[player].norm().item()
        assert told[player, "loss"] == pytest.approx(norm**2, rel=1e-12)
        assert told[player, "grad_norm"] == pytest.approx(norm / 2, rel=1e-12)
        assert told[player, "update_norm"] == pytest.approx(lr * norm / 2, rel=1e-12)
        assert told[player, "weight_norm"] == pytest.approx(after.joint[player].norm().item(), rel=1e-12)


def test_a_column_that_nobody_fills_is_nan():
    extra = [*COLUMNS, ("a", "no such probe")]
    step = train_step(TURNS, field, per_player(ADAM), MASKED, NO_EXTRAS)
    batch = poison(0, "", 0.0, torch.float64)[0]
    _, seen = step(beginning(per_player(ADAM), torch.float64), [batch, batch], 1)
    assert row(seen, extra).isnan().tolist() == [False] * len(COLUMNS) + [True]


@pytest.mark.parametrize("shape", [(64,), (16, 1), (4, 1, 3, 3)])
def test_probes_of_steps_together_are_those_of_each_bit_for_bit(shape):
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    steps = [
        Seen({("discriminator", "loss"): draw(())}, {"discriminator": {name: draw(shape) for name in LOGITS}})
        for _ in range(7)
    ]
    columns = [("discriminator", name) for name in ("loss", "grad_norm", *LOGIT_PROBES)]
    each = torch.stack([row(seen, columns) for seen in steps])
    assert torch.equal(rows(steps, columns, torch.float32).nan_to_num(), each.nan_to_num())
    assert not each[:, [0, 2, 3, 4, 5, 6]].isnan().any()


def test_logit_probes_by_hand():
    real, fake = torch.tensor([[2.0], [-1.0], [0.0], [3.0]]), torch.tensor([[-4.0], [1.0], [-1.0], [-2.0]])
    seen = {name: value.item() for name, value in logit_probes(real, fake).items()}
    assert seen == dict(zip(LOGIT_PROBES, (1.0, -1.5, 0.5, 0.75, 2.5), strict=True))


def test_only_a_discriminator_with_both_logits_is_observed():
    out = {"real_logits": torch.ones(2), "fake_logits": torch.ones(2)}
    assert set(observe(("discriminator",), "discriminator", out | {"other": torch.ones(2)})) == set(LOGITS)
    assert observe(("discriminator",), "generator", out) == {}
    assert observe(("discriminator",), "discriminator", {"fake_logits": torch.ones(2)}) == {}
    assert columns(["low"], (), NO_EXTRAS) == [("low", probe) for probe in PLAYER_PROBES]
    judging = ("discriminator",)
    assert columns(judging, judging, NO_EXTRAS)[4:] == [("discriminator", probe) for probe in LOGIT_PROBES]


def test_the_last_of_several_turns_is_what_probes_tell(toys, blob):
    config = variant(options={"toy-gan": {"discriminator_turns": 3}}, optimizer={"name": "sgd", "lr": 0.05})
    program = Program(config, toys, blob)
    trainer = Looped(program, Runs((0,), ({},)), blob, CPU)
    rows = trainer.advance(1)
    row = dict(zip(program.columns, rows[0, 0].tolist(), strict=True))
    weights = trainer.state().joint["discriminator"][0]
    assert row["discriminator", "weight_norm"] == pytest.approx(weights.norm().item(), rel=1e-12)
    moved = (weights - program.initial(0, {}).joint["discriminator"]).norm().item()
    assert row["discriminator", "update_norm"] < moved
    assert row["discriminator", "logit_gap"] == pytest.approx(
        row["discriminator", "real_mean"] - row["discriminator", "fake_mean"], rel=1e-12
    )


@pytest.mark.parametrize("how", [Looped, Mapped])
def test_extra_probes_by_hand(toys, blob, how):
    """Cosines and layers' norms, from the points that plain gradient descent goes through."""
    lr, steps = 0.1, 6
    config = variant(optimizer={"name": "sgd", "lr": lr}) | {"evaluate": {"probes": ["cosine", "layers"]}}
    program = Program(config, toys, blob)
    trainer = how(program, Runs((0, 1), ({}, {})), blob, CPU, *([Eager()] if how is Mapped else []))
    points = [program.initial(1, {}).joint]
    rows = []
    for _ in range(steps):
        rows.append(trainer.advance(1)[0, 1])
        points.append({player: flat[1].clone() for player, flat in trainer.state().joint.items()})
    seen = [dict(zip(program.columns, row.tolist(), strict=True)) for row in rows]
    for player in ("generator", "discriminator"):
        gradients = [(a[player] - b[player]) / lr for a, b in itertools.pairwise(points)]
        assert math.isnan(seen[0][player, COSINE])
        for k in range(1, steps):
            expected = torch.nn.functional.cosine_similarity(gradients[k], gradients[k - 1], dim=0).item()
            assert seen[k][player, COSINE] == pytest.approx(expected, abs=1e-9)
        for slot, part in zip(
            program.layout.slots[player], program.layout.views(player, gradients[-1]), strict=True
        ):
            name = f"grad_norm/{slot.net}.{slot.name}"
            assert seen[-1][player, name] == pytest.approx(part.norm().item(), rel=1e-7)
    assert ("generator", "real_mean") not in seen[0]


def test_extra_probes_change_no_step(toys, blob):
    paths = []
    for probes in ([], ["cosine", "layers"]):
        program = Program(variant() | {"evaluate": {"probes": probes}}, toys, blob)
        trainer = Looped(program, Runs((0,), ({},)), blob, CPU)
        trainer.advance(10)
        paths.append(trainer.state().joint)
    assert all(torch.equal(paths[0][player], paths[1][player]) for player in paths[0])
