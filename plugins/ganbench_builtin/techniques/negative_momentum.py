"""Negative momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

import ganbench
from ganbench import Clock, Joint, Memory, Rule


@dataclass(frozen=True)
class NegativeMomentum(ganbench.Technique):
    """Heavy-ball momentum below zero (Gidel et al. 2019, arXiv:1807.04740).

    The point moves by the optimiser's displacement plus beta times its own last move (Polyak's heavy ball), a
    move of that player's. Published with alternating turns, for which it converges on bilinear games; with
    simultaneous ones it does not. Meant for `sgd`; around another optimiser set that one's momentum to 0
    (`betas = [0.0, 0.999]`), lest the two work against each other.

    Arguments:
        beta: momentum, -1/2 as in the paper's theorem on bilinear games.
    """

    name = "negative-momentum"
    order = -5  # of the optimiser's step at its full length (schedule, ttur); before any projection
    beta: Annotated[float, Field(gt=-1, lt=1)] = -0.5

    def rule(self, inner: Rule) -> Rule:
        """Adds beta times the last move. Remembers "player/negative-momentum-move"."""

        def init(joint: Joint) -> Memory:
            still = {_key(player): torch.zeros_like(flat) for player, flat in joint.items()}
            return inner.init(joint) | still

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            moved, memory = inner.apply(gradients, joint, memory, clock)
            moves = {
                player: moved[player] - joint[player] + self.beta * memory[_key(player)]
                for player in gradients
            }
            points = {player: joint[player] + move for player, move in moves.items()}
            return moved | points, memory | {_key(player): move for player, move in moves.items()}

        return inner._replace(init=init, apply=apply)


def _key(player: str) -> str:
    return f"{player}/negative-momentum-move"
