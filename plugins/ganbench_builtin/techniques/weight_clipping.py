"""Weight clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

import ganbench
from ganbench import Clock, Joint, Memory, Rule
from ganbench_builtin.techniques._fits import needs_judges


@dataclass(frozen=True)
class WeightClipping(ganbench.Technique):
    """The critic's weights stay in [-limit, limit] (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1)."""

    name = "weight-clipping"
    order = 10  # a projection: after whatever moves the weights
    limit: Annotated[float, Field(gt=0)] = 0.01

    def rule(self, inner: Rule) -> Rule:
        """Clips after each of the discriminator's steps."""

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            joint, memory = inner.apply(gradients, joint, memory, clock)
            movers = [judge for judge in self.judges if judge in gradients]
            return joint | {who: joint[who].clamp(-self.limit, self.limit) for who in movers}, memory

        return inner._replace(apply=apply)

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)
