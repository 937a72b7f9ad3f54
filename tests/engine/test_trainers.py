from __future__ import annotations

import copy

import pytest
import torch
from torch.utils import _pytree as pytree
from toys import variant

from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.engine.sampling import Sampler
from ganbench.engine.tables import as_float, batch_of
from ganbench.engine.trainers import Looped, Mapped, Runs, stacked, unstacked
from ganbench.executors import Eager
from ganbench.game.draws import CHUNK

CPU = torch.device("cpu")
STEPS = 200
DUEL = {"model": "toy-duel", "loss": "toy-saddle", "players": ("low", "high")}
SGD = {"name": "sgd", "lr": 0.05}
RMSPROP = {"name": "rmsprop", "lr": 1e-3, "eps": 1e-2}
VARIANTS = {
    "gan": {},
    "penalty": {"techniques": ("toy-penalty",)},
    "batch norm": {"options": {"toy-gan": {"norm": True}}, "techniques": ("toy-penalty",)},
    "several turns": {"options": {"toy-gan": {"norm": True, "discriminator_turns": 2}}, "optimizer": RMSPROP},
    "together": {"options": {"toy-gan": {"together": True}}, "batch": 64},
    "duel": DUEL | {"optimizer": SGD},
    "mixed": {"optimizer": {"generator": SGD, "discriminator": {"name": "adamw", "lr": 1e-3}}},
}


def make(trainer, program, runs, data):
    return trainer(program, runs, data, CPU, *([Eager()] if trainer is Mapped else []))


def advance(trainer, steps):
    """`steps` steps, however the chunks fall."""
    rows = []
    while steps:
        now = min(steps, CHUNK - trainer.step % CHUNK)
        rows.append(trainer.advance(now))
        steps -= now
    return torch.cat(rows)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True))


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_run_alone_is_the_run_in_a_stack(toys, blob, changes):
    program = Program(variant(**changes), toys, blob)
    seeds = (3, 0)
    runs = Runs(seeds, ({},) * 2)
    looped, mapped = make(Looped, program, runs, blob), make(Mapped, program, runs, blob)
    rows, mapped_rows = advance(looped, STEPS), advance(mapped, STEPS)
    assert looped.died() == mapped.died() == [0, 0]
    close(looped.state(), mapped.state())
    close(rows, mapped_rows)
    alone = make(Mapped, program, Runs(seeds[1:], ({},)), blob)
    close(advance(alone, STEPS)[:, 0], rows[:, 1])
    close(unstacked(alone.state(), 0), unstacked(looped.state(), 1))
    start = program.initial(3, {})
    for player, flat in looped.state().joint.items():
        assert (flat[0] - start.joint[player]).norm() > 1e-2


SWEEPS = [
    ("optimizer.generator.lr", (1e-3, 2e-2), {}),
    ("optimizer.discriminator.lr", (1e-3, 2e-2), {}),
    ("optimizer.generator.betas.0", (0.0, 0.9), {}),
    ("optimizer.discriminator.betas.1", (0.9, 0.999), {}),
    ("optimizer.generator.weight_decay", (0.0, 0.3), {}),
    ("optimizer.generator.eps", (1e-8, 1e-1), {}),
    ("optimizer.discriminator.alpha", (0.5, 0.9), {"optimizer": RMSPROP}),
    ("optimizer.discriminator.momentum", (0.0, 0.5), {"optimizer": RMSPROP}),
    ("toy-penalty.weight", (0.0, 3.0), {"techniques": ("toy-penalty",)}),
    ("toy-penalty.damping", (0.0, 0.9), {"techniques": ("toy-penalty",), "optimizer": SGD}),
    ("toy-loss.sharpness", (0.5, 2.0), {}),
]


def with_value(config, path, value):
    """The variant with the value as a plain option."""
    config = copy.deepcopy(config)
    if path.startswith("optimizer."):
        _, player, option, *entry = path.split(".")
        table = config["optimizer"][player]
        if entry:
            table[option][int(entry[0])] = value
        else:
            table[option] = value
        return config
    owner, option = path.split(".")
    entries = [config["model"], config["loss"], *config["techniques"]]
    next(entry for entry in entries if entry["name"] == owner)["options"][option] = value
    return config


@pytest.mark.parametrize("trainer", [Looped, Mapped])
@pytest.mark.parametrize(("path", "values", "changes"), SWEEPS, ids=[path for path, *_ in SWEEPS])
def test_a_swept_value_arrives_in_its_run(toys, blob, path, values, changes, trainer):
    config = variant(**changes)
    steps = 70
    swept = make(trainer, Program(config, toys, blob), Runs((5, 5), tuple({path: v} for v in values)), blob)
    rows = advance(swept, steps)
    for run, value in enumerate(values):
        program = Program(with_value(config, path, value), toys, blob)
        plain = make(Looped, program, Runs((5,), ({},)), blob)
        close(advance(plain, steps)[:, 0], rows[:, run])
        close(unstacked(plain.state(), 0), unstacked(swept.state(), run))
    first, second = (unstacked(swept.state(), run).joint for run in (0, 1))
    assert max((first[player] - second[player]).abs().max() for player in first) > 1e-4


def test_many_sweeps_at_once(toys, blob):
    config = variant(techniques=("toy-penalty",))
    values = (
        {"optimizer.generator.lr": 1e-2, "toy-penalty.weight": 0.1, "optimizer.generator.betas.0": 0.1},
        {"optimizer.generator.lr": 3e-3, "toy-penalty.weight": 2.0, "optimizer.generator.betas.0": 0.8},
    )
    mapped = make(Mapped, Program(config, toys, blob), Runs((1, 2), values), blob)
    rows = advance(mapped, 64)
    for run, mine in enumerate(values):
        plain = config
        for path, value in mine.items():
            plain = with_value(plain, path, value)
        alone = make(Looped, Program(plain, toys, blob), Runs((run + 1,), ({},)), blob)
        close(advance(alone, 64)[:, 0], rows[:, run])


def test_swept_values_do_not_raise_the_precision(toys, blob):
    # They arrive as float64: a float32 run must stay one, in every operation of the step.
    paths = {path: values[0] for path, values, changes in SWEEPS if "optimizer" not in changes}
    program = Program(variant(techniques=("toy-penalty",), precision="float32"), toys, blob)
    mapped = make(Mapped, program, Runs((0, 1), (paths, paths)), blob)
    mapped.load_chunk()
    batch = {"data": blob.train[:8], "noise": torch.zeros(8, 2), "toy-penalty/shift": torch.zeros(8, 2)}
    values = {path: torch.full((2,), value, dtype=torch.float64) for path, value in paths.items()}
    state, _ = torch.vmap(
        lambda state, values: program.step(values)(state, [batch, batch], torch.ones((), dtype=torch.float64))
    )(mapped.state(), values)
    assert {t.dtype for t in pytree.tree_leaves((state.joint, state.memory))} == {torch.float32}
    assert state.died.dtype == torch.float64


@pytest.mark.parametrize("trainer", [Looped, Mapped])
@pytest.mark.parametrize("cut", [5, 100])
def test_a_restored_stack_goes_on_bit_for_bit(toys, blob, trainer, cut):
    config = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",), precision="float32")
    program = Program(config, toys, blob)
    runs = Runs((0, 4), ({"toy-penalty.weight": 0.1}, {"toy-penalty.weight": 1.0}))
    whole = make(trainer, program, runs, blob)
    rows = advance(whole, 130)
    broken = make(trainer, program, runs, blob)
    before = advance(broken, cut)
    kept = pytree.tree_map(torch.clone, broken.state())
    advance(broken, 20)  # what was lost
    resumed = make(trainer, Program(config, toys, blob), runs, blob)
    resumed.restore(kept, cut)
    assert resumed.step == cut
    after = advance(resumed, 130 - cut)
    assert same(resumed.state(), whole.state())
    assert torch.equal(torch.cat([before, after]).nan_to_num(), rows.nan_to_num())


@pytest.mark.parametrize("trainer", [Looped, Mapped])
def test_a_stack_can_be_set_back(toys, blob, trainer):
    made = make(trainer, Program(variant(), toys, blob), Runs((0, 1), ({}, {})), blob)
    start = pytree.tree_map(torch.clone, made.state())
    rows = advance(made, 80)
    end = pytree.tree_map(torch.clone, made.state())
    made.restore(start, 0)
    assert same(made.state(), start)
    assert torch.equal(advance(made, 80).nan_to_num(), rows.nan_to_num())
    assert same(made.state(), end)


@pytest.mark.parametrize("trainer", [Looped, Mapped])
def test_how_steps_are_split_does_not_matter(toys, blob, trainer):
    program = Program(variant(), toys, blob)
    whole, split = (make(trainer, program, Runs((0, 1), ({}, {})), blob) for _ in range(2))
    rows = advance(whole, 80)
    parts = [split.advance(n) for n in (1, 2, 30, 31, 10, 6)]
    assert torch.equal(torch.cat(parts).nan_to_num(), rows.nan_to_num())
    assert same(whole.state(), split.state())


def test_steps_stay_within_a_chunk(toys, blob):
    made = make(Looped, Program(variant(), toys, blob), Runs((0,), ({},)), blob)
    made.advance(60)
    with pytest.raises(ValueError, match="within one chunk"):
        made.advance(5)
    assert made.step == 60


def test_who_stands_beside_a_run_does_not_matter(toys, blob):
    program = Program(variant(precision="float32"), toys, blob)
    ours = make(Mapped, program, Runs((0, 1, 2), ({},) * 3), blob)
    others = make(Mapped, program, Runs((9, 1, 7), ({},) * 3), blob)
    # the same size of stack: bit for bit
    rows, other_rows = advance(ours, 100), advance(others, 100)
    assert torch.equal(rows[:, 1].nan_to_num(), other_rows[:, 1].nan_to_num())
    assert not torch.equal(rows[:, 0].nan_to_num(), other_rows[:, 0].nan_to_num())


def test_what_a_dead_run_leaves_is_the_same_either_way(toys, blob):
    # alone, a dead run is not stepped again; in a stack it is held: its last state is the same
    program = Program(variant(), toys, blob)
    values = ({"optimizer.discriminator.lr": 1e300}, {"optimizer.discriminator.lr": 1e-2})
    looped, mapped = (make(t, program, Runs((0, 1), values), blob) for t in (Looped, Mapped))
    rows, mapped_rows = advance(looped, 70), advance(mapped, 70)
    assert looped.died() == mapped.died()
    death = looped.died()[0]
    assert death in (1, 2)
    assert looped.died()[1] == 0
    close(rows[:death, 0], mapped_rows[:death, 0])
    assert rows[death:, 0].isnan().all()
    close(rows[:, 1], mapped_rows[:, 1])


def test_where_all_runs_are_dead_nothing_is_measured(toys, blob):
    looped = make(
        Looped, Program(variant(), toys, blob), Runs((0,), ({"optimizer.discriminator.lr": 1e300},)), blob
    )
    advance(looped, 5)
    assert looped.died()[0]
    assert advance(looped, 5).isnan().all()


def test_stacked_and_unstacked(toys, blob):
    program = Program(variant(options={"toy-gan": {"norm": True}}), toys, blob)
    states = [program.initial(seed, {}) for seed in range(3)]
    whole = stacked(states)
    assert all(same(unstacked(whole, run), states[run]) for run in range(3))
    unstacked(whole, 1).joint["generator"].zero_()
    assert same(unstacked(whole, 1), states[1])


def test_a_turn_reads_the_samples_that_its_order_names(toys):
    data = Data(
        train=torch.arange(20).view(10, 2).to(torch.uint8),
        test=torch.zeros(1, 2),
        train_labels=torch.arange(10),
    )
    program = Program(variant(batch=3), toys, data)
    samples = {"data": data.train, "labels": data.train_labels}
    raw = {"index": torch.tensor([7, 0, 7]), "noise": torch.ones(3, 2)}
    batch = batch_of(raw, samples, torch.tensor(5.0), program.dtype)
    assert sorted(batch) == ["data", "labels", "noise", "step"]
    assert batch["step"] == 5
    assert batch["labels"].tolist() == [7, 0, 7]
    torch.testing.assert_close(batch["data"], data.train[[7, 0, 7]].double() / 127.5 - 1)
    assert batch["data"].dtype == torch.float64
    assert as_float(torch.tensor([0, 255], dtype=torch.uint8), torch.float32).tolist() == [-1.0, 1.0]
    assert as_float(torch.tensor([3.5]), torch.float64).tolist() == [3.5]


def test_each_turn_draws_for_itself(toys, blob):
    program = Program(variant(options={"toy-gan": {"discriminator_turns": 2}}, batch=8), toys, blob)
    looped = make(Looped, program, Runs((0, 1), ({}, {})), blob)
    looped.load_chunk()
    turns = looped._chunk
    assert len(turns) == 3
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert not (turns[a]["noise"] == turns[b]["noise"]).any()
    # six batches of 8 fill an epoch of 50: two steps of three turns show 48 different samples
    shown = torch.cat([turn["index"][:2, 0].flatten() for turn in turns])
    assert len(set(shown.tolist())) == 48


def test_a_draw_that_is_taken_is_refused(toys, blob):
    program = Program(variant(techniques=("toy-penalty", "toy-penalty")), toys, blob)
    with pytest.raises(ValueError, match=r"toy-penalty.*taken.*toy-penalty/shift"):
        program.draws()


def test_metrics_are_taken_where_the_rule_says(toys, blob):
    program = Program(variant(techniques=("toy-penalty",), optimizer=SGD), toys, blob)
    looped = make(Looped, program, Runs((0,), ({},)), blob)
    looped.advance(10)
    before = unstacked(looped.state(), 0)
    looped.advance(1)
    after = unstacked(looped.state(), 0)
    point = program.rule({}).evaluated(after.joint, after.memory)
    assert same(point, before.joint)
    assert not same(after.joint, before.joint)


def test_samples_come_from_networks_in_evaluation_mode(toys, blob):
    program = Program(variant(options={"toy-gan": {"norm": True}}), toys, blob)
    looped = make(Looped, program, Runs((0,), ({},)), blob)
    looped.advance(10)
    state = unstacked(looped.state(), 0)
    kept = pytree.tree_map(torch.clone, state.buffers)
    noise = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = Sampler(program).sample(state.joint, state.buffers, {"noise": noise})
    part = Sampler(program).sample(state.joint, state.buffers, {"noise": noise[:2]})
    close(part, whole[:2], 1e-12)  # with statistics of the batch it would differ
    assert whole.shape == (5, 2)
    assert not whole.requires_grad
    assert same(state.buffers, kept)
