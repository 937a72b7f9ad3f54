"""Rules: how the point moves along the field. Optimisers as pure functions of (gradient, point, memory).

A rule works on one player's vector of one run. Under a mapped step its numbers may be 0-d tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from ganbench.game import Joint
from ganbench.game.compute_once import compute_once

Memory = dict[str, Tensor]
"""What the optimisers and techniques remember: "player/name" -> vector."""
StepCount: TypeAlias = int | Tensor
"""An int, or a float64 0-d tensor where steps are captured."""
Number: TypeAlias = float | Tensor
"""An option: a float, or a 0-d tensor where it is swept inside a mapped stack."""


class Clock(NamedTuple):
    """When a rule is applied.

    Arguments:
        step: number of the step being taken, from 1.
        updates: player -> how many times it has moved, this time included.
        last: whether this is the last turn of the step.
    """

    step: StepCount
    updates: Mapping[str, StepCount]
    last: bool


class Rule(NamedTuple):
    """An optimiser over the joint point.

    `init(joint) -> memory`; `apply(gradients, joint, memory, clock) -> (joint, memory)` moves the players
    that `gradients` names and leaves the others. `evaluated(joint, memory) -> joint` is the point at which
    metrics are taken.
    """

    init: Callable[[Joint], Memory]
    apply: Callable[[Joint, Joint, Memory, Clock], tuple[Joint, Memory]]
    evaluated: Callable[[Joint, Memory], Joint] = lambda joint, memory: joint


class Optimizer(Protocol):
    """Options of an optimiser, such as `ganbench.components.optimizers` has; `name` says of which."""

    @property
    def name(self) -> str:
        """One of METHODS."""


def per_player(chosen: Mapping[str, Optimizer]) -> Rule:
    """Each player follows its own optimiser."""
    methods = {player: METHODS[optimizer.name] for player, optimizer in chosen.items()}

    def init(joint: Joint) -> Memory:
        return {
            f"{player}/{name}": torch.zeros_like(joint[player])
            for player, method in methods.items()
            for name in method.memories
        }

    def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
        joint, memory = dict(joint), dict(memory)
        for player, gradient in gradients.items():
            method, count = methods[player], clock.updates[player]
            old = {name: memory[f"{player}/{name}"] for name in method.memories}
            joint[player], new = method.move(chosen[player], gradient, joint[player], old, count)
            memory.update({f"{player}/{name}": value for name, value in new.items()})
        return joint, memory

    return Rule(init, apply)


def clip_by_norm(gradient: Tensor, limit: float) -> Tensor:
    """Scale a player's gradient to at most `limit` in Euclidean norm (Pascanu 2013, arXiv:1211.5063).

    A norm that is not finite makes the result nan: clipping must not hide a divergence.
    """
    norm = torch.linalg.vector_norm(gradient)
    # 1e-6 as in torch's clip_grad_norm_. `0 * norm` is 0, or NaN where the norm is not finite.
    return gradient * ((limit / (norm + 1e-6)).clamp(max=1.0) + 0 * norm)


# What each method reads of its options. A field is a property here because options are frozen.


class _Decayed(Protocol):
    @property
    def lr(self) -> Number: ...
    @property
    def weight_decay(self) -> Number: ...


class _Momentum(_Decayed, Protocol):
    @property
    def momentum(self) -> Number: ...


class _Adam(_Decayed, Protocol):
    @property
    def betas(self) -> tuple[Number, Number]: ...
    @property
    def eps(self) -> Number: ...


class _RMSprop(_Momentum, Protocol):
    @property
    def alpha(self) -> Number: ...
    @property
    def eps(self) -> Number: ...


Moved = tuple[Tensor, dict[str, Tensor]]
"""(point, memory), after an update"""


def _sgd(o: _Decayed, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    return x - o.lr * _decayed(o, g, x), {}


def _momentum(o: _Momentum, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    # As torch.optim.SGD: the rate multiplies the velocity, and the first velocity is the gradient.
    velocity = o.momentum * memory["velocity"] + _decayed(o, g, x)
    return x - o.lr * velocity, {"velocity": velocity}


def _adam(o: _Adam, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    return _adam_step(o, _decayed(o, g, x), x, memory, count)


def _adamw(o: _Adam, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    # Decoupled decay shrinks the weights themselves (Loshchilov and Hutter 2019, arXiv:1711.05101).
    return _adam_step(o, g, x * (1 - o.lr * o.weight_decay), memory, count)


def _adam_step(o: _Adam, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    """Algorithm 1 of Kingma and Ba (2015): eps is added to the root of the corrected second moment."""
    beta1, beta2 = o.betas
    mean = _lerp(memory["mean"], g, 1 - beta1)
    square = _add_product(memory["square"] * beta2, 1 - beta2, g, g)
    # The bias corrections of m and v, as factors. The count is float64: in float32 they would be off by 1e-3
    # after 100 steps.
    size, scale = compute_once(o.lr / (1 - beta1**count)), compute_once((1 - beta2**count) ** -0.5)
    x = _add_ratio(x, -size, mean, square.sqrt() * scale + o.eps)
    return x, {"mean": mean, "square": square}


def _rmsprop(o: _RMSprop, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    g = _decayed(o, g, x)
    # As torch.optim.RMSprop, not centred: eps is added to the root, not under it.
    square = memory["square"] * o.alpha + g * g * (1 - o.alpha)
    velocity = o.momentum * memory["velocity"] + g / (square.sqrt() + o.eps)
    return x - o.lr * velocity, {"square": square, "velocity": velocity}


def _decayed(o: _Decayed, g: Tensor, x: Tensor) -> Tensor:
    """The gradient with L2 weight decay, which costs nothing at 0 unless it is swept."""
    if not isinstance(o.weight_decay, Tensor) and o.weight_decay == 0:
        return g
    return g + o.weight_decay * x


# Fused forms, which eager execution is faster with, take numbers only; compilation fuses the plain ones.


def _lerp(old: Tensor, new: Tensor, weight: Number) -> Tensor:
    """old + weight (new - old)."""
    return old + weight * (new - old) if isinstance(weight, Tensor) else torch.lerp(old, new, weight)


def _add_product(x: Tensor, scale: Number, a: Tensor, b: Tensor) -> Tensor:
    """x + scale a b."""
    return x + scale * a * b if isinstance(scale, Tensor) else torch.addcmul(x, a, b, value=scale)


def _add_ratio(x: Tensor, scale: Number, a: Tensor, b: Tensor) -> Tensor:
    """x + scale a / b."""
    return x + scale * a / b if isinstance(scale, Tensor) else torch.addcdiv(x, a, b, value=scale)


class Method(NamedTuple):
    """An optimiser as a pure function.

    Arguments:
        memories: names of the vectors that it remembers of a player; all begin at zero.
        move: (options, gradient, point, memory, number of this update from 1) -> (point, memory).
    """

    memories: tuple[str, ...]
    move: Callable[..., Moved]


METHODS: dict[str, Method] = {
    "sgd": Method((), _sgd),
    "momentum": Method(("velocity",), _momentum),
    "adam": Method(("mean", "square"), _adam),
    "adamw": Method(("mean", "square"), _adamw),
    "rmsprop": Method(("square", "velocity"), _rmsprop),
}
"""By the name that a suite has for it."""
