"""The one concept: a differentiable game of n players, and its gradient vector field.

A game evaluates one player's objective at a point. Who differentiates it, and how, is the field's
business: `functional_field` (torch.func: can be mapped over a stack and compiled) or `BoundField`
(ordinary autograd over modules that own their parameters: the fastest way to run a single run eagerly).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from ganbench.game.nets import Layout, Named, Nets

Turn = tuple[str, ...]
"""The players that move together in one update."""

Joint = dict[str, Tensor]
"""The point in the game: player -> its parameters, one vector."""

Batch = Mapping[str, Tensor]
"""Data and every random draw of one turn."""

Out = dict[str, Tensor]
"""What a model's `play` gives."""

Play = Callable[[str, Nets, Batch], Out]
"""(player, networks, batch) -> what its objective reads"""

Objective = Callable[[str, Nets, Batch, Out], Tensor]
"""(player, networks at the joint point, batch, out) -> scalar that the player lowers."""


class Flow(NamedTuple):
    """What a turn's field gives: gradients of the movers, moved buffers, and what probes saw."""

    gradients: Joint
    buffers: Named
    losses: dict[str, Tensor]
    outs: dict[str, dict[str, Tensor]]


GradientField = Callable[[Turn, Joint, Named, Batch], Flow]
"""(turn, joint, buffers, batch) -> Flow"""


class Game(NamedTuple):
    """Players, turns, and how to evaluate an objective. `layout` says who owns which parameters."""

    layout: Layout
    turns: tuple[Turn, ...]
    play: Play
    objective: Objective
    observe: Callable[[str, Out], dict[str, Tensor]]
    conditioned: Callable[[Nets, Batch], Nets] = lambda nets, batch: nets

    def value(self, player: str, nets: Nets, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """One player's objective, and the probes of its out."""
        nets = self.conditioned(nets, batch)
        out = self.play(player, nets, batch)
        observed = {name: tensor.detach() for name, tensor in self.observe(player, out).items()}
        return self.objective(player, nets, batch, out), observed
