"""Two time-scale update rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

import ganbench
from ganbench import Clock, Joint, Memory, Rule
from ganbench_builtin.techniques._fits import needs_judges


@dataclass(frozen=True)
class TTUR(ganbench.Technique):
    """Two time scales: the discriminator learns faster (Heusel et al. 2017, arXiv:1706.08500).

    Its steps are `ratio` times as long, which for every rule that is linear in its learning rate equals
    `ratio` times the learning rate.
    """

    name = "ttur"
    order = -10  # it scales what the optimiser does, before any projection
    ratio: Annotated[float, Field(gt=0)] = 4.0

    def rule(self, inner: Rule) -> Rule:
        """Lengthens the discriminator's step."""

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            moved, memory = inner.apply(gradients, joint, memory, clock)
            movers = [judge for judge in self.judges if judge in gradients]
            longer = {who: joint[who] + self.ratio * (moved[who] - joint[who]) for who in movers}
            return moved | longer, memory

        return inner._replace(apply=apply)

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)
