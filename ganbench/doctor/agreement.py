"""The question whether a way of training computes what the CPU's loop computes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ganbench.doctor.findings import Agreement
from ganbench.doctor.games import LOOP, Game, Name
from ganbench.engine.trainers import Trainer
from ganbench.text import first_line

RUNS = 2
EXACT, CONVOLVED, SINGLE = 1e-9, 1e-6, 1e-3
"""Largest relative differences: in float64, in float64 with convolutions, in float32."""
STEPS = {"float64": 20, "float32": 10}
"""Steps after which both are compared: a game amplifies what rounding begins."""
CONVOLUTIONS = (Name.DCGAN, Name.AUGMENTED, Name.POOL)


def agreements(asked: Sequence[tuple[Name, str]], device: str) -> tuple[Agreement, ...]:
    """Each game by its way in float64, the first in float32, too."""
    torch.set_num_threads(1)
    exact = [_agreement(name, way, device, "float64") for name, way in asked]
    return (*exact, _agreement(*asked[0], device, "float32"))


def _agreement(name: Name, way: str, device: str, precision: str) -> Agreement:
    steps = STEPS[precision]
    tolerance = SINGLE if precision == "float32" else CONVOLVED if name in CONVOLUTIONS else EXACT
    try:
        tried = _advanced(Game(name, device, precision).trainer(way, RUNS), steps)
        expected = _advanced(Game(name, "cpu", precision).trainer(LOOP, RUNS), steps)
    except Exception as error:
        reason = first_line(error) or type(error).__name__
        return Agreement(name, way, precision, steps, math.nan, tolerance, reason)
    return Agreement(name, way, precision, steps, difference(tried, expected), tolerance)


def _advanced(trainer: Trainer, steps: int) -> list[Tensor]:
    """The numbers that a trainer has reached, on the CPU."""
    trainer.advance(steps)
    leaves: list[Tensor] = pytree.tree_leaves(trainer.state())
    return [leaf.to("cpu", torch.float64) for leaf in leaves if leaf.is_floating_point()]


def difference(tried: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference, relative to the largest number of its tensor."""
    pairs = [(a, b) for a, b in zip(tried, expected, strict=True) if b.numel()]
    # a maximum over a tensor keeps NaN, Python's does not
    largest = [((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in pairs]
    return float(torch.stack(largest).max()) if largest else 0.0
