"""The optimisers a suite can name, as data: `ganbench.game.update_rules` turns one into a rule.

Options carry `torch.optim`'s names and defaults. Fields typed float may be swept inside a stack, and so
may the entries of `betas`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from ganbench.components.base import Component

NonNegative = Annotated[float, Field(ge=0)]
# 1 would never forget, and divides by zero in Adam's bias correction
Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Component):
    """How one player's parameters follow the field."""

    kind = "optimizer"

    @classmethod
    def asked_every_step(cls) -> bool:
        """Always true: each turn moves its player."""
        return True


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent (Robbins and Monro 1951)."""

    name: ClassVar[str] = "sgd"
    lr: NonNegative = 1e-3
    weight_decay: NonNegative = 0.0


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with heavy-ball momentum (Polyak 1964); a negative one damps games (Gidel 2019)."""

    name: ClassVar[str] = "momentum"
    lr: NonNegative = 1e-3
    # unbounded: negative values damp the rotation of two-player games
    momentum: float = 0.9
    weight_decay: NonNegative = 0.0


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980)."""

    name: ClassVar[str] = "adam"
    lr: NonNegative = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    name: ClassVar[str] = "adamw"
    lr: NonNegative = 1e-3
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NonNegative = 1e-8
    # torch's default, unlike the 0 of its other optimisers
    weight_decay: NonNegative = 1e-2


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012)."""

    name: ClassVar[str] = "rmsprop"
    # torch's default, ten times that of Adam
    lr: NonNegative = 1e-2
    alpha: Decay = 0.99
    eps: NonNegative = 1e-8
    momentum: float = 0.0
    weight_decay: NonNegative = 0.0


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.name: cls for cls in (SGD, Momentum, Adam, AdamW, RMSprop)}
