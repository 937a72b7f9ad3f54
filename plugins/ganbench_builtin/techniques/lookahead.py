"""Lookahead for games."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Clock, Joint, Memory, Rule
from ganbench_builtin.techniques._clock import choose


@dataclass(frozen=True)
class Lookahead(ganbench.Technique):
    """Lookahead-minmax: k steps on, part of the way back (Chavdarova et al. 2021, arXiv:2006.14567).

    At the end of every k-th step all players at once go back to slow + alpha (point - slow), which then is
    the slow point. The optimisers' memories stay as they are. Metrics are taken at the slow point.

    Arguments:
        k: steps of training (with all their turns) between synchronisations.
        alpha: how much of the way is kept.
    """

    name = "lookahead"
    order = 15  # of weights that are clipped already; averages over time take what it gives
    k: Annotated[int, Field(gt=0)] = 5
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5

    def rule(self, inner: Rule) -> Rule:
        """Pulls the point back to the slow one. Remembers "player/lookahead-slow"."""

        def init(joint: Joint) -> Memory:
            return inner.init(joint) | {_key(player): flat.clone() for player, flat in joint.items()}

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            joint, memory = inner.apply(gradients, joint, memory, clock)
            if not clock.last:
                return joint, memory
            due, moved, slow = clock.step % self.k == 0, dict[str, Tensor](), dict[str, Tensor]()
            for player, flat in joint.items():
                before = memory[_key(player)]
                pulled = before + self.alpha * (flat - before)
                moved[player], slow[_key(player)] = choose(due, pulled, flat), choose(due, pulled, before)
            return moved, memory | slow

        def evaluated(joint: Joint, memory: Memory) -> Joint:
            return {player: memory[_key(player)] for player in joint}

        return Rule(init, apply, evaluated)


def _key(player: str) -> str:
    return f"{player}/lookahead-slow"
