"""Exponential moving average of the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

import ganbench
from ganbench import Clock, Joint, Memory, Rule


@dataclass(frozen=True)
class EMA(ganbench.Technique):
    """Metrics are taken at an average of the weights over time (Yazici et al. 2019, arXiv:1806.04498).

    Averages every player that does not judge: average = decay average + (1 - decay) weights a step,
    starting at the initial weights. Buffers (batch norm's statistics) are the current ones.
    """

    name = "ema"
    order = 20  # it averages what the others leave
    decay: Annotated[float, Field(ge=0, le=1)] = 0.999

    def rule(self, inner: Rule) -> Rule:
        """Follows the inner rule and remembers "player/ema"."""

        def init(joint: Joint) -> Memory:
            averages = {
                _key(player): flat.clone() for player, flat in joint.items() if player not in self.judges
            }
            return inner.init(joint) | averages

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            joint, memory = inner.apply(gradients, joint, memory, clock)
            point = inner.evaluated(joint, memory)  # an anchor counts, not where it looks ahead from there
            moved = {_key(player): point[player] for player in gradients if _key(player) in memory}
            averages = {key: memory[key] * self.decay + new * (1 - self.decay) for key, new in moved.items()}
            return joint, memory | averages

        def evaluated(joint: Joint, memory: Memory) -> Joint:
            joint = inner.evaluated(joint, memory)
            return {player: memory.get(_key(player), flat) for player, flat in joint.items()}

        return Rule(init, apply, evaluated)


def _key(player: str) -> str:
    return f"{player}/ema"
