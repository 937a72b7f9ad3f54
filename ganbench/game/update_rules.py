"""Rules: how the point moves along the field. Optimisers as pure functions of (gradient, point, memory).

A rule works on one player's vector of one run. Under a mapped step its numbers may be 0-d tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganbench.components import optimizers
from ganbench.game import Joint
from ganbench.game.compute_once import compute_once

Memory = dict[str, Tensor]
"""What the optimisers and techniques remember: "player/name" -> vector."""
StepCount = Any
"""An int, or a float64 0-d tensor where steps are captured."""


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


def per_player(chosen: Mapping[str, optimizers.Optimizer]) -> Rule:
    """Each player follows its own optimiser."""

    def init(joint: Joint) -> Memory:
        return {
            f"{player}/{name}": torch.zeros_like(joint[player])
            for player, optimizer in chosen.items()
            for name in _MEMORIES[optimizer.name]
        }

    def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
        joint, memory = dict(joint), dict(memory)
        for player, gradient in gradients.items():
            optimizer = chosen[player]
            old = {name: memory[f"{player}/{name}"] for name in _MEMORIES[optimizer.name]}
            count = clock.updates[player]
            joint[player], new = _RULES[optimizer.name](optimizer, gradient, joint[player], old, count)
            memory.update({f"{player}/{name}": value for name, value in new.items()})
        return joint, memory

    return Rule(init, apply)


def clip_by_norm(gradient: Tensor, limit: float) -> Tensor:
    """Scale a player's gradient to at most `limit` in Euclidean norm (Pascanu 2013, arXiv:1211.5063).

    A norm that is not finite makes the result nan: clipping must not hide a divergence.
    """
    norm = torch.linalg.vector_norm(gradient)
    return gradient * ((limit / (norm + 1e-6)).clamp(max=1.0) + 0 * norm)


Moved = tuple[Tensor, dict[str, Tensor]]


def _sgd(o: optimizers.SGD, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    return x - o.lr * _decayed(o, g, x), {}


def _momentum(
    o: optimizers.Momentum, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount
) -> Moved:
    velocity = o.momentum * memory["velocity"] + _decayed(o, g, x)
    return x - o.lr * velocity, {"velocity": velocity}


def _adam(o: optimizers.Adam, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    return _adam_step(o, _decayed(o, g, x), x, memory, count)


def _adamw(o: optimizers.AdamW, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    return _adam_step(o, g, x * (1 - o.lr * o.weight_decay), memory, count)


def _adam_step(o: Any, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount) -> Moved:
    beta1, beta2 = o.betas
    mean = _lerp(memory["mean"], g, 1 - beta1)
    square = _add_product(memory["square"] * beta2, 1 - beta2, g, g)
    # float64: in float32 the correction is off by 1e-3 after 100 steps
    size, scale = compute_once(o.lr / (1 - beta1**count)), compute_once((1 - beta2**count) ** -0.5)
    x = _add_ratio(x, -size, mean, square.sqrt() * scale + o.eps)
    return x, {"mean": mean, "square": square}


def _rmsprop(
    o: optimizers.RMSprop, g: Tensor, x: Tensor, memory: dict[str, Tensor], count: StepCount
) -> Moved:
    g = _decayed(o, g, x)
    square = memory["square"] * o.alpha + g * g * (1 - o.alpha)
    velocity = o.momentum * memory["velocity"] + g / (square.sqrt() + o.eps)
    return x - o.lr * velocity, {"square": square, "velocity": velocity}


def _decayed(o: Any, g: Tensor, x: Tensor) -> Tensor:
    """The gradient with L2 weight decay, which costs nothing where there is none."""
    return g if _plain(o.weight_decay) and o.weight_decay == 0 else g + o.weight_decay * x


# Fused forms, which eager execution is faster with, take numbers only; compilation fuses the plain ones.


def _lerp(old: Tensor, new: Tensor, weight: Any) -> Tensor:
    """old + weight (new - old)."""
    return torch.lerp(old, new, weight) if _plain(weight) else old + weight * (new - old)


def _add_product(x: Tensor, scale: Any, a: Tensor, b: Tensor) -> Tensor:
    """x + scale a b."""
    return torch.addcmul(x, a, b, value=scale) if _plain(scale) else x + scale * a * b


def _add_ratio(x: Tensor, scale: Any, a: Tensor, b: Tensor) -> Tensor:
    """x + scale a / b."""
    return torch.addcdiv(x, a, b, value=scale) if _plain(scale) else x + scale * a / b


def _plain(value: Any) -> bool:
    return not isinstance(value, Tensor)


_MEMORIES: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("velocity",),
    "adam": ("mean", "square"),
    "adamw": ("mean", "square"),
    "rmsprop": ("square", "velocity"),
}
_RULES: dict[str, Callable[..., Moved]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}
