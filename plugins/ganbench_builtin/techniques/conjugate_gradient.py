"""Conjugate-gradient directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Clock, Joint, Memory, Rule


@dataclass(frozen=True)
class ConjugateGradient(ganbench.Technique):
    """Each player moves along d = -g + beta d_before, not -g (Naganuma and Iiduka 2022, arXiv:2203.14495).

    The optimiser gets -d for a gradient; `sgd` makes it the published method, x + lr d. One beta a player and
    step, from its whole vector (the authors' code has one a weight tensor), 0 at first and where the formula
    divides by 0. With y = g - g_before:

        fletcher-reeves    <g, g> / <g_before, g_before>
        polak-ribiere      <g, y> / <g_before, g_before>
        hestenes-stiefel   <g, y> / <d_before, y>
        dai-yuan           <g, g> / <d_before, y>

    Arguments:
        beta: the formula.
        bound: beta is at most that: 1/2, as in the authors' code.
        nonnegative: whether it is at least 0 (PRP+ and its like), so that no direction grows without
            bound. The authors' code leaves these four formulas free below.
    """

    name = "conjugate-gradient"
    order = -30  # next to the optimiser: what scales displacements is outside
    beta: Literal["fletcher-reeves", "polak-ribiere", "hestenes-stiefel", "dai-yuan"] = "hestenes-stiefel"
    bound: Annotated[float, Field(ge=0)] = 0.5
    nonnegative: bool = True

    def rule(self, inner: Rule) -> Rule:
        """Gives the inner rule -d. Remembers "player/cg-gradient" and "player/cg-direction"."""

        def init(joint: Joint) -> Memory:
            nothing = {player: torch.zeros_like(flat) for player, flat in joint.items()}
            own = {key(player): zero for player, zero in nothing.items() for key in (_gradient, _direction)}
            return inner.init(joint) | own

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            directions = {
                player: self._next(g, memory[_gradient(player)], memory[_direction(player)])
                for player, g in gradients.items()
            }
            own = {_gradient(player): g for player, g in gradients.items()}
            own |= {_direction(player): d for player, d in directions.items()}
            against = {player: -d for player, d in directions.items()}
            joint, memory = inner.apply(against, joint, memory, clock)
            return joint, memory | own

        return inner._replace(init=init, apply=apply)

    def _next(self, g: Tensor, before: Tensor, direction: Tensor) -> Tensor:
        above, below = _FORMULAS[self.beta](g, before, direction)
        nothing = below == 0
        beta = torch.where(nothing, 0.0, above / torch.where(nothing, 1.0, below)).clamp(max=self.bound)
        return (beta.clamp(min=0) if self.nonnegative else beta) * direction - g


_FORMULAS: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "fletcher-reeves": lambda g, before, d: (torch.dot(g, g), torch.dot(before, before)),
    "polak-ribiere": lambda g, before, d: (torch.dot(g, g - before), torch.dot(before, before)),
    "hestenes-stiefel": lambda g, before, d: (torch.dot(g, g - before), torch.dot(d, g - before)),
    "dai-yuan": lambda g, before, d: (torch.dot(g, g), torch.dot(d, g - before)),
}
"""(g, g_before, d_before) -> numerator and denominator of beta."""


def _gradient(player: str) -> str:
    return f"{player}/cg-gradient"


def _direction(player: str) -> str:
    return f"{player}/cg-direction"
