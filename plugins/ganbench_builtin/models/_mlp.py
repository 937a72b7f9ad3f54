"""Multilayer perceptrons."""

from __future__ import annotations

from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky-relu", "tanh"]

_ACTIVATIONS = {"relu": nn.ReLU, "leaky-relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}


def mlp(widths: tuple[int, ...], activation: Activation) -> nn.Sequential:
    """Linear layers between the given widths, the activation between layers, none at the end."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(before, after), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
