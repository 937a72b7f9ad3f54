"""Multilayer perceptrons."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky-relu", "tanh"]

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
}


def mlp(widths: tuple[int, ...], activation: Activation) -> nn.Sequential:
    """Linear layers between the given widths, the activation between layers, none at the end."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
