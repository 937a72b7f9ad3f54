"""Optimistic Adam."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import ganbench
from ganbench import Clock, Joint, Memory, Rule


@dataclass(frozen=True)
class OptimisticAdam(ganbench.Technique):
    """Twice the optimiser's step, less its last one (Daskalakis et al. 2018, arXiv:1711.00141, algorithm 1).

    x + 2 d - d_before, with d the displacement by which the player's optimiser would move it, and d_before
    the one of the player's turn before (0 at first, as in algorithm 1). Around `adam` it is optimistic Adam;
    around `sgd` it is optimistic gradient descent, OGDA: x - 2 lr g + lr g_before.
    """

    name = "optimistic-adam"
    order = -5  # of the optimiser's step at its full length (schedule, ttur); before any projection

    def rule(self, inner: Rule) -> Rule:
        """Adds d - d_before to every move. Remembers "player/optimistic-adam-step"."""

        def init(joint: Joint) -> Memory:
            still = {_key(player): torch.zeros_like(flat) for player, flat in joint.items()}
            return inner.init(joint) | still

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            moved, memory = inner.apply(gradients, joint, memory, clock)
            steps = {player: moved[player] - joint[player] for player in gradients}
            ahead = {player: moved[player] + (d - memory[_key(player)]) for player, d in steps.items()}
            return moved | ahead, memory | {_key(player): d for player, d in steps.items()}

        return inner._replace(init=init, apply=apply)


def _key(player: str) -> str:
    return f"{player}/optimistic-adam-step"
