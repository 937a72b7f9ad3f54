from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganbench.components.base import bind, options_of
from ganbench.components.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Momentum, RMSprop
from ganbench.game.update_rules import Clock, clip_by_norm, per_player

STEPS = 200
SIZE = 7


def torch_sgd(o, x):
    made = torch.optim.SGD([x], lr=o.lr, weight_decay=o.weight_decay)
    made.param_groups[0]["momentum"] = getattr(o, "momentum", 0.0)  # its constructor refuses a negative one
    return made


def torch_adam(cls, o, x):
    return cls([x], lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay)


def torch_rmsprop(o, x):
    return torch.optim.RMSprop(
        [x], lr=o.lr, alpha=o.alpha, eps=o.eps, momentum=o.momentum, weight_decay=o.weight_decay
    )


REFERENCE = {
    "sgd": torch_sgd,
    "momentum": torch_sgd,
    "adam": functools.partial(torch_adam, torch.optim.Adam),
    "adamw": functools.partial(torch_adam, torch.optim.AdamW),
    "rmsprop": torch_rmsprop,
}
# Where steps are too long for the curvature the iteration is chaotic and no two roundings agree (the
# normalised ones near the minimum, where gradients are small): hence the large eps in some.
CASES = [
    SGD(lr=0.05),
    SGD(lr=0.05, weight_decay=0.1),
    Momentum(lr=0.02),
    Momentum(lr=0.02, momentum=-0.3, weight_decay=0.1),
    Adam(lr=0.03),
    Adam(lr=0.03, betas=(0.0, 0.9), eps=0.1, weight_decay=0.1),
    AdamW(lr=0.03),
    AdamW(lr=0.03, betas=(0.5, 0.99), weight_decay=0.5),
    RMSprop(lr=0.01),
    RMSprop(lr=0.005, alpha=0.8, eps=0.1, momentum=0.6, weight_decay=0.1),
]


def label(o) -> str:
    return o.name + "".join(f"-{k}" for k, v in options_of(o).items() if v != options_of(type(o)())[k])


def valley(x: torch.Tensor) -> torch.Tensor:
    """A bowl with ripples: curved differently along each axis, and coupled."""
    scale = torch.linspace(0.5, 3.0, SIZE, dtype=x.dtype)
    return (scale * x.square()).sum() / 2 + x.cos().sum() / 4 + (x[1:] * x[:-1]).sum() / 5


def start() -> torch.Tensor:
    return torch.linspace(-2.0, 1.5, SIZE, dtype=torch.float64)


def torch_path(optimizer, gradient) -> torch.Tensor:
    x = torch.nn.Parameter(start())
    reference = REFERENCE[optimizer.name](optimizer, x)
    path = []
    for _ in range(STEPS):
        x.grad = gradient(x.detach())
        reference.step()
        path.append(x.detach().clone())
    return torch.stack(path)


def at(count, *players):
    """The clock of the step `count`, which moves `players`."""
    return Clock(count, dict.fromkeys(players, count), last=True)


def our_path(optimizer, gradient, clock=lambda k: k) -> torch.Tensor:
    rule = per_player({"p": optimizer})
    joint = {"p": start()}
    memory = rule.init(joint)
    path = []
    for k in range(STEPS):
        joint, memory = rule.apply({"p": gradient(joint["p"])}, joint, memory, at(clock(k + 1), "p"))
        path.append(joint["p"])
    return torch.stack(path)


def as_tensors(optimizer):
    """Every option swept: a 0-d float64 tensor, in a tuple too."""

    def tensor(value):
        return (
            tuple(map(tensor, value))
            if isinstance(value, tuple)
            else torch.tensor(value, dtype=torch.float64)
        )

    return bind(optimizer, {name: tensor(value) for name, value in vars(optimizer).items()})


def float64_clock(k: int) -> torch.Tensor:
    return torch.tensor(k, dtype=torch.float64)


def test_every_optimizer_is_covered():
    assert {o.name for o in CASES} == set(OPTIMIZERS) == set(REFERENCE)


@pytest.mark.parametrize("clock", [lambda k: k, float64_clock], ids=["int-clock", "tensor-clock"])
@pytest.mark.parametrize("swept", [False, True], ids=["plain", "swept"])
@pytest.mark.parametrize("optimizer", CASES, ids=label)
def test_equals_torch(optimizer, swept, clock):
    gradient = torch.func.grad(valley)
    ours = our_path(as_tensors(optimizer) if swept else optimizer, gradient, clock)
    theirs = torch_path(optimizer, gradient)
    assert (theirs[0] - start()).abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cls", OPTIMIZERS.values())
def test_defaults_are_torchs(cls):
    theirs = {"SGD": torch.optim.SGD, "Momentum": torch.optim.SGD}.get(cls.__name__) or getattr(
        torch.optim, cls.__name__
    )
    defaults = theirs([torch.nn.Parameter(start())]).defaults
    own = vars(cls())
    if cls is Momentum:
        own = {name: value for name, value in own.items() if name != "momentum"}
    assert own == {name: defaults[name] for name in own}


@pytest.mark.parametrize("optimizer", [Adam(lr=0.03), AdamW(lr=0.03)], ids=label)
def test_bias_correction_is_exact_in_float32(optimizer):
    # With a float32 clock the correction of the second moment is off by 1e-3 after 100 steps.
    rule = per_player({"p": optimizer})
    joint = {"p": start().float()}
    memory = rule.init(joint)
    for k in range(1, 101):
        gradient = {"p": torch.full((SIZE,), 0.5)}
        before = joint["p"]
        joint, memory = rule.apply(gradient, joint, memory, at(float64_clock(k), "p"))
        kept = 1 - optimizer.lr * (optimizer.weight_decay if optimizer.name == "adamw" else 0.0)
        step = (before * kept - joint["p"]) / optimizer.lr
        # a constant gradient: both moments are exact after correction, so the step is lr g / |g|
        assert joint["p"].dtype == torch.float32
        torch.testing.assert_close(step, torch.ones(SIZE), rtol=0, atol=5e-5)


def test_each_player_follows_its_own_optimizer():
    chosen = {"a": Adam(lr=0.03), "b": RMSprop(lr=0.01, momentum=0.5), "c": SGD(lr=0.05)}
    rule = per_player(chosen)
    joint = {player: start() for player in chosen}
    memory = rule.init(joint)
    gradient = torch.func.grad(valley)
    for k in range(STEPS):
        joint, memory = rule.apply({p: gradient(joint[p]) for p in chosen}, joint, memory, at(k + 1, *chosen))
    for player, optimizer in chosen.items():
        torch.testing.assert_close(joint[player], torch_path(optimizer, gradient)[-1], rtol=0, atol=1e-12)


def test_who_does_not_move_is_left_alone():
    rule = per_player({"a": Adam(), "b": Adam()})
    joint = {"a": start(), "b": start()}
    memory = rule.init(joint)
    moved, remembered = rule.apply({"a": torch.ones(SIZE, dtype=torch.float64)}, joint, memory, at(1, "a"))
    assert moved["b"] is joint["b"]
    assert {k for k in memory if remembered[k] is memory[k]} == {"b/mean", "b/square"}
    assert not torch.equal(moved["a"], joint["a"])
    assert torch.equal(joint["a"], start())
    assert rule.evaluated(moved, remembered) is moved


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_clip_by_norm_equals_torchs(numbers, limit):
    gradient = torch.tensor(numbers, dtype=torch.float64)
    reference = torch.nn.Parameter(torch.zeros_like(gradient))
    reference.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([reference], limit)
    torch.testing.assert_close(clip_by_norm(gradient, limit), reference.grad, rtol=1e-12, atol=1e-12)


def test_clipping_hides_no_overflow():
    clipped = clip_by_norm(torch.tensor([1e25, 1.0]), 1.0)
    assert not torch.linalg.vector_norm(clipped).isfinite() or clipped[0] > 0.9
