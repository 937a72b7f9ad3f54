"""Techniques that wrap the rule, against numpy, torch.optim and linear algebra."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from toys import variant

from ganbench.components.base import bind, create, options_of
from ganbench.components.optimizers import SGD, Adam
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.update_rules import Clock, per_player
from ganbench_builtin.techniques.conjugate_gradient import ConjugateGradient
from ganbench_builtin.techniques.ema import EMA
from ganbench_builtin.techniques.extra_adam import ExtraAdam
from ganbench_builtin.techniques.lookahead import Lookahead
from ganbench_builtin.techniques.negative_momentum import NegativeMomentum
from ganbench_builtin.techniques.optimistic_adam import OptimisticAdam
from ganbench_builtin.techniques.schedule import Schedule
from ganbench_builtin.techniques.ttur import TTUR
from ganbench_builtin.techniques.weight_clipping import WeightClipping

CPU = torch.device("cpu")
DOUBLE = torch.float64
PLAYERS = ("generator", "discriminator")
FORMULAS = ("fletcher-reeves", "polak-ribiere", "hestenes-stiefel", "dai-yuan")
RULES = [
    *(ConjugateGradient(beta=formula) for formula in FORMULAS),
    OptimisticAdam(),
    ExtraAdam(),
    NegativeMomentum(),
    Lookahead(k=3),
    bind(Schedule(shape="cosine", warmup=0.2, hold=0.1, final=0.05), {"total": 20}),
]
ADAM = Adam(lr=0.05, betas=(0.5, 0.9))


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def clock(t, last=True, players=PLAYERS):
    return Clock(t, dict.fromkeys(players, t), last)


def tensors(joint):
    return {player: torch.from_numpy(np.array(x)) for player, x in joint.items()}


GENERATOR, DISCRIMINATOR = slice(0, 3), slice(3, 8)
MATRIX = random(8, 8, seed=5) / 4
START = random(8, seed=6)


def field(x):
    """A field that is not linear."""
    return MATRIX @ x + 0.1 * x**3


def split(x):
    return {"generator": x[GENERATOR], "discriminator": x[DISCRIMINATOR]}


def walk(technique, optimizer=ADAM, steps=30, together=True, counted=lambda t: t):
    """The points of both players along `field` under the technique's rule, and where metrics are taken."""
    rule = technique.rule(per_player(dict.fromkeys(PLAYERS, optimizer)))
    joint = tensors(split(START))
    memory = rule.init(joint)
    points, seen = [START], [START]
    for t in range(1, steps + 1):
        turns = [PLAYERS] if together else [("discriminator",), ("generator",)]
        for turn in turns:
            v = split(field(flat(joint)))
            gradients = tensors({player: v[player] for player in turn})
            when = Clock(counted(t), {player: counted(t) for player in turn}, turn == turns[-1])
            joint, memory = rule.apply(gradients, joint, memory, when)
        points.append(flat(joint))
        seen.append(flat(rule.evaluated(joint, memory)))
    return np.array(points), np.array(seen)


def flat(joint):
    return np.concatenate([joint[player].numpy() for player in PLAYERS])


class NumpyAdam:
    """Kingma and Ba 2015, algorithm 1: displacements from gradients."""

    def __init__(self, lr=0.05, beta1=0.5, beta2=0.9, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m = self.v = self.t = 0

    def __call__(self, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g * g
        m, v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        return -self.lr * m / (np.sqrt(v) + self.eps)


def agree(points, expected, tolerance=1e-11):
    np.testing.assert_allclose(points, np.array(expected), rtol=tolerance, atol=tolerance)


def name_of(technique):
    return "-".join([technique.name, *([technique.beta] if isinstance(technique, ConjugateGradient) else [])])


# -- around Adam, written by hand


def test_optimistic_adam():
    adam, x, before, expected = NumpyAdam(), START, 0.0, [START]
    for _ in range(30):
        d = adam(field(x))
        x = x + 2 * d - before
        before = d
        expected.append(x)
    points, seen = walk(OptimisticAdam())
    agree(points, expected)
    agree(seen, expected)


def test_extra_adam():
    adam, x, expected, anchors = NumpyAdam(), START, [START], [START]
    for _ in range(15):
        half = x + adam(field(x))
        expected.append(half)
        anchors.append(x)
        x = x + adam(field(half))
        expected.append(x)
        anchors.append(x)
    points, seen = walk(ExtraAdam())
    agree(points, expected)
    agree(seen, anchors)
    assert not np.allclose(points[1::2], seen[1::2], atol=1e-2)


def test_extra_adam_where_turns_alternate():
    """Each player has halves of its own, and sees the other where it stands."""
    adams, x = {player: NumpyAdam() for player in PLAYERS}, START
    parts = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}
    expected, anchor = [START], START.copy()
    for t in range(1, 21):
        for player in ("discriminator", "generator"):
            part, here = parts[player], x.copy()
            move = adams[player](field(here)[part])
            if t % 2:
                anchor[part] = here[part]
            here[part] = anchor[part] + move
            x = here
        expected.append(x)
    points, _ = walk(ExtraAdam(), steps=20, together=False)
    agree(points, expected)


def test_negative_momentum_around_adam():
    adam, x, move, expected = NumpyAdam(), START, 0.0, [START]
    for _ in range(30):
        move = adam(field(x)) - 0.3 * move
        x = x + move
        expected.append(x)
    agree(walk(NegativeMomentum(beta=-0.3))[0], expected)


def test_negative_momentum_around_sgd_is_the_heavy_ball():
    """x' = x - lr v(x) + beta (x - x_before)."""
    before, x, expected = START, START, [START]
    for _ in range(20):
        before, x = x, x - 0.1 * field(x) - 0.5 * (x - before)
        expected.append(x)
    agree(walk(NegativeMomentum(), SGD(lr=0.1), steps=20)[0], expected)


def test_lookahead_around_adam():
    adam, x, slow, expected, slows = NumpyAdam(), START, START, [START], [START]
    for t in range(1, 31):
        x = x + adam(field(x))
        if t % 4 == 0:
            x = slow = slow + 0.3 * (x - slow)
        expected.append(x)
        slows.append(slow)
    points, seen = walk(Lookahead(k=4, alpha=0.3))
    agree(points, expected)
    agree(seen, slows)


def test_lookahead_waits_for_the_last_turn_and_then_pulls_everybody():
    rule = Lookahead(k=1, alpha=0.5).rule(per_player(dict.fromkeys(PLAYERS, SGD(lr=1.0))))
    start = tensors(split(START))
    gradients = tensors({"discriminator": START[DISCRIMINATOR]})
    joint, memory = rule.apply(gradients, start, rule.init(start), clock(1, last=False))
    assert joint["discriminator"].abs().max() < 1e-12
    torch.testing.assert_close(rule.evaluated(joint, memory), start)
    gradients = tensors({"generator": np.zeros(3)})
    joint, memory = rule.apply(gradients, joint, memory, clock(1))
    agree(joint["discriminator"].numpy(), START[DISCRIMINATOR] / 2)
    agree(joint["generator"].numpy(), START[GENERATOR])
    torch.testing.assert_close(rule.evaluated(joint, memory), joint)


# -- conjugate gradients


def minimise(technique, matrix, steps):
    """Gradient descent on x'Ax/2 with exact line search, under the technique; its directions."""
    x = random(len(matrix), seed=1)
    joint, directions = {"vae": torch.from_numpy(x)}, []
    memory = technique.rule(per_player({"vae": SGD()})).init(joint)
    for t in range(1, steps + 1):
        g = matrix @ joint["vae"].numpy()
        gradients, when = {"vae": torch.from_numpy(g)}, clock(t, players=("vae",))
        _, peek = technique.rule(per_player({"vae": SGD(lr=0.0)})).apply(gradients, joint, memory, when)
        d = peek["vae/cg-direction"].numpy()
        lr = -(g @ d) / (d @ matrix @ d)
        joint, memory = technique.rule(per_player({"vae": SGD(lr=lr)})).apply(gradients, joint, memory, when)
        directions.append(d)
    return joint["vae"].numpy(), np.array(directions)


@pytest.mark.parametrize("formula", FORMULAS)
def test_with_exact_line_search_a_quadratic_takes_as_many_steps_as_it_has_dimensions(formula):
    n = 5
    half = random(n, n, seed=2)
    matrix = half @ half.T + np.eye(n)
    x, directions = minimise(ConjugateGradient(beta=formula, bound=1e9), matrix, n)
    assert np.abs(x).max() < 1e-10
    products = directions @ matrix @ directions.T
    scale = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    np.testing.assert_allclose(products / scale, np.eye(n), atol=1e-8)  # conjugate
    x, _ = minimise(ConjugateGradient(beta=formula, bound=0.0), matrix, n)  # steepest descent
    assert np.abs(x).max() > 1e-4


def beta_of(formula, g, before, d):
    y = g - before
    return {
        "fletcher-reeves": (g @ g) / (before @ before),
        "polak-ribiere": (g @ y) / (before @ before),
        "hestenes-stiefel": (g @ y) / (d @ y),
        "dai-yuan": (g @ g) / (d @ y),
    }[formula]


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_directions_of_any_gradients(formula, nonnegative):
    """Against the formulas, each player for itself, with beta in its bounds."""
    technique = ConjugateGradient(beta=formula, nonnegative=nonnegative)
    rule = technique.rule(per_player(dict.fromkeys(PLAYERS, SGD(lr=0.1))))
    joint, betas = tensors(split(START)), []
    memory = rule.init(joint)
    before, direction = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for t in range(1, 25):
        gradients, old = split(random(8, seed=t)), joint
        joint, memory = rule.apply(tensors(gradients), joint, memory, clock(t))
        for player, g in gradients.items():
            beta = 0.0
            if t > 1:
                raw = beta_of(formula, g, before[player], direction[player])
                beta = max(min(raw, 0.5), 0.0 if nonnegative else -np.inf)
                betas.append(raw)
            direction[player] = -g + (beta * direction[player] if t > 1 else 0)
            agree((joint[player] - old[player]).numpy(), 0.1 * direction[player], 1e-9)
        before = gradients
    assert max(betas) > 0.5
    assert any(0 < beta < 0.5 for beta in betas)
    assert min(betas) < 0 or formula == "fletcher-reeves"


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_division_by_nothing_restarts_and_a_divergence_is_not_hidden(formula):
    rule = ConjugateGradient(beta=formula).rule(per_player({"vae": SGD(lr=1.0)}))
    joint = {"vae": torch.ones(3, dtype=DOUBLE)}
    memory, still = rule.init(joint), {"vae": torch.zeros(3, dtype=DOUBLE)}
    for t in (1, 2):
        moved, memory = rule.apply(still, joint, memory, clock(t, players=("vae",)))
        torch.testing.assert_close(moved, joint)
    g = {"vae": torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)}
    moved, memory = rule.apply(g, joint, memory, clock(3, players=("vae",)))
    torch.testing.assert_close(moved["vae"], joint["vae"] - g["vae"])
    moved, _ = rule.apply({"vae": g["vae"] * torch.nan}, joint, memory, clock(4, players=("vae",)))
    assert moved["vae"].isnan().all()


def test_the_same_gradient_twice_leaves_no_curvature_to_divide_by():
    """y = 0: polak-ribiere gives 0, hestenes-stiefel and dai-yuan would divide by it."""
    for formula in FORMULAS[1:]:
        rule = ConjugateGradient(beta=formula).rule(per_player({"vae": SGD(lr=1.0)}))
        joint = {"vae": torch.zeros(2, dtype=DOUBLE)}
        memory, g = rule.init(joint), {"vae": torch.tensor([1.0, 2.0], dtype=DOUBLE)}
        for t in (1, 2):
            moved, memory = rule.apply(g, joint, memory, clock(t, players=("vae",)))
            torch.testing.assert_close(moved["vae"], -g["vae"])


# -- schedules


def factors(total, **options):
    schedule = Schedule(**options).within(total)
    return [schedule.factor(t) for t in range(1, total + 1)]


def test_factors_by_hand():
    assert factors(4) == [1.0, 0.75, 0.5, 0.25]
    assert factors(4, final=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert factors(4, shape="constant", final=0.2) == [1.0] * 4
    assert factors(4, shape="cosine") == pytest.approx(
        [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )
    assert factors(4, shape="constant", warmup=0.5) == [0.5, 1.0, 1.0, 1.0]
    assert factors(10, warmup=0.2, hold=0.3, final=0.1) == pytest.approx(
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.82, 0.64, 0.46, 0.28]
    )
    assert factors(6, hold=0.5) == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])  # CycleGAN's
    assert factors(5, warmup=1.0) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors(3, hold=1.0) == [1.0] * 3
    assert factors(1) == factors(1, warmup=0.5) == [1.0]


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
def test_factors_are_between_their_ends_whatever_the_options(shape):
    for warmup, hold, final in np.random.default_rng(0).uniform(size=(50, 3)):
        found = factors(37, shape=shape, warmup=warmup, hold=hold, final=final)
        assert all(0 < factor <= 1 for factor in found)
        top = found.index(max(found))
        assert found[: top + 1] == sorted(found[: top + 1])
        assert found[top:] == sorted(found[top:], reverse=True)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_schedules_are_torchs_around_adam(shape):
    total, final = 20, 0.1
    x = torch.nn.Parameter(torch.from_numpy(START.copy()))
    adam = torch.optim.Adam([x], lr=0.05, betas=(0.5, 0.9))
    scheduler = {
        "linear": lambda: torch.optim.lr_scheduler.LinearLR(adam, 1.0, final, total),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(adam, total, final * 0.05),
    }[shape]()
    expected = [START]
    for _ in range(total):
        x.grad = torch.from_numpy(field(x.detach().numpy()))
        adam.step()
        scheduler.step()
        expected.append(x.detach().numpy().copy())
    points, _ = walk(Schedule(shape=shape, final=final).within(total), steps=total)
    agree(points, expected, 1e-10)


def test_a_program_tells_a_schedule_its_budget(builtins):
    made = program(builtins, ("schedule",), steps=123)
    assert made.techniques[0].total == 123
    assert made.rule({"schedule.final": 0.5}) is not None
    swept = bind(made.techniques[0], {"final": torch.tensor(0.5)})
    assert swept.factor(123) == pytest.approx(0.5 + 0.5 / 123)
    assert "total" not in options_of(made.techniques[0])


# -- all of them


@pytest.mark.parametrize("technique", RULES, ids=name_of)
def test_a_clock_of_tensors_is_a_clock_of_numbers(technique):
    numbers = walk(technique, steps=12)
    captured = walk(technique, steps=12, counted=lambda t: torch.tensor(float(t), dtype=DOUBLE))
    for path, other in zip(numbers, captured, strict=True):
        agree(path, other, 1e-14)


@pytest.mark.parametrize("technique", RULES, ids=name_of)
def test_memory_has_keys_of_its_own_and_a_players_turn_leaves_the_others_alone(technique):
    bare = per_player(dict.fromkeys(PLAYERS, ADAM))
    rule = technique.rule(bare)
    joint = tensors(split(START))
    memory = rule.init(joint)
    assert set(bare.init(joint)) <= set(memory)
    for key in set(memory) - set(bare.init(joint)):
        player, _, what = key.partition("/")
        assert memory[key].shape == joint[player].shape
        assert what.startswith("cg-" if technique.name == "conjugate-gradient" else f"{technique.name}-")
    kept = {key: value.clone() for key, value in memory.items()}
    gradients = tensors({"discriminator": START[DISCRIMINATOR]})
    for t in range(1, 4):
        joint, memory = rule.apply(gradients, joint, memory, clock(t, last=False, players=("discriminator",)))
    assert set(memory) == set(kept)
    assert joint["generator"].tolist() == START[GENERATOR].tolist()
    for key, value in kept.items():
        if key.startswith("generator/"):
            torch.testing.assert_close(memory[key], value, rtol=0, atol=0)


@pytest.mark.parametrize("technique", RULES, ids=name_of)
def test_inputs_are_not_written_to(technique):
    rule = technique.rule(per_player(dict.fromkeys(PLAYERS, ADAM)))
    joint = tensors(split(START))
    memory, gradients = rule.init(joint), tensors(split(field(START)))
    for t in range(1, 7):
        given = [{key: value.clone() for key, value in held.items()} for held in (gradients, joint, memory)]
        moved, remembered = rule.apply(gradients, joint, memory, clock(t))
        for held, copy in zip((gradients, joint, memory), given, strict=True):
            torch.testing.assert_close(held, copy, rtol=0, atol=0)
        joint, memory = moved, remembered


@pytest.mark.parametrize("technique", RULES, ids=name_of)
def test_only_the_rule_is_wrapped(technique):
    arrows = ("network", "networks", "play", "objective", "field", "rule", "draws")
    assert [arrow for arrow in arrows if arrow in type(technique).__dict__] == ["rule"]


def stacked(*techniques, lr=0.5):
    """Their rules around plain gradient descent, in the declared order."""
    rule = per_player(dict.fromkeys(PLAYERS, SGD(lr=lr)))
    for technique in sorted(techniques, key=lambda technique: technique.order):
        rule = technique.rule(rule)
    return rule


@pytest.mark.parametrize("technique", [OptimisticAdam(), ExtraAdam(), NegativeMomentum(), Lookahead()])
def test_clipped_weights_are_clipped_wherever_they_are_looked_at(technique):
    limit = 0.3
    rule = stacked(WeightClipping(limit=limit), technique)
    joint = tensors(split(START))
    memory, largest = rule.init(joint), []
    for t in range(1, 11):
        joint, memory = rule.apply(tensors(split(field(flat(joint)))), joint, memory, clock(t))
        largest.append(joint["discriminator"].abs().max())
        if t > 1 and not isinstance(technique, Lookahead):
            assert rule.evaluated(joint, memory)["discriminator"].abs().max() <= limit
    assert max(largest[:4]) == limit
    if isinstance(technique, Lookahead):  # it goes back towards a beginning that was not clipped
        assert rule.evaluated(joint, memory)["discriminator"].abs().max() < np.abs(START[DISCRIMINATOR]).max()


def test_a_schedule_scales_steps_before_they_are_remembered():
    """Optimistic descent with a falling learning rate: x - 2 lr_t g_t + lr_before g_before."""
    schedule = Schedule().within(10)
    rule = stacked(OptimisticAdam(), schedule, TTUR(ratio=3.0), lr=0.05)
    joint = tensors(split(START))
    memory, x, before = rule.init(joint), START, 0.0
    lengths = np.repeat([1.0, 3.0], [3, 5])
    for t in range(1, 9):
        d = -0.05 * (1 - (t - 1) / 10) * lengths * field(x)
        x, before = x + 2 * d - before, d
        joint, memory = rule.apply(tensors(split(field(flat(joint)))), joint, memory, clock(t))
        agree(flat(joint), x)


def test_an_average_over_time_is_of_lookaheads_slow_point():
    rule = stacked(EMA(decay=0.5), Lookahead(k=2))
    joint = tensors(split(START))
    memory, average = rule.init(joint), START[GENERATOR]
    for t in range(1, 7):
        joint, memory = rule.apply(tensors(split(field(flat(joint)))), joint, memory, clock(t))
        average = (average + memory["generator/lookahead-slow"].numpy()) / 2
    seen = rule.evaluated(joint, memory)
    agree(seen["generator"].numpy(), average)
    torch.testing.assert_close(seen["discriminator"], memory["discriminator/lookahead-slow"])


def test_conflicts_name_techniques_that_there_are(builtins):
    known = builtins.components["technique"]
    assert set(ExtraAdam.conflicts) <= set(known)
    assert {technique.name for technique in RULES} <= set(known)


@pytest.mark.parametrize(
    ("cls", "option", "value"),
    [
        (Lookahead, "k", 0),
        (Lookahead, "alpha", 1.5),
        (NegativeMomentum, "beta", -1.0),
        (Schedule, "shape", "step"),
        (Schedule, "warmup", 2.0),
        (ConjugateGradient, "beta", "hager-zhang"),
        (ConjugateGradient, "bound", -0.1),
    ],
)
def test_nonsense_is_refused(cls, option, value):
    with pytest.raises(BadInput, match=option):
        create(cls, {option: value}, cls.name)
    assert option in {field.name for field in dataclasses.fields(cls)}


# -- in training


def program(builtins, names, options=None, steps=1000, turns=1):
    small = {"mlp-gan": {"hidden": [8, 8], "discriminator_turns": turns}}
    config = variant(
        "mlp-gan",
        "non-saturating",
        names,
        small | (options or {}),
        {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]},
        batch=8,
        steps=steps,
    )
    return Program(config, builtins, ring(builtins))


def ring(builtins):
    return create(builtins.get("dataset", "ring").cls, {"size": 500}).load(None)


STACKS = [
    *[(technique.name,) for technique in RULES[3:]],
    ("conjugate-gradient", "negative-momentum", "schedule", "lookahead", "weight-clipping", "ema"),
    ("extra-adam", "schedule", "ttur", "weight-clipping", "ema", "spectral-norm"),
    ("optimistic-adam", "lookahead", "gradient-clipping"),
]


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_loop_is_map(builtins, names, turns):
    options = {"schedule": {"shape": "cosine", "warmup": 0.5}, "lookahead": {"k": 3}}
    made, data = program(builtins, names, options, steps=20, turns=turns), ring(builtins)
    runs = Runs((0, 1), ({}, {}))
    looped, mapped = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    seen, mapped_seen = looped.advance(20), mapped.advance(20)
    torch.testing.assert_close(looped.state(), mapped.state(), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(seen, mapped_seen, rtol=1e-10, atol=1e-10, equal_nan=True)
    assert looped.died() == [0, 0]
