"""R1 and R2 gradient penalties together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, squares


@dataclass(frozen=True)
class R1R2(GradientPenalty):
    """R1 and R2 of one weight, as in R3GAN (Huang et al. 2024, arXiv:2501.05441).

    gamma / 2 (E[|grad D(x)|^2] + E[|grad D(G(z))|^2]), D the logit. With the loss relativistic it is R3GAN's.
    Use r1 and r2 for weights of their own.

    Arguments:
        gamma: weight of both penalties.
    """

    name = "r1-r2"
    conflicts = ("r1", "r2")
    reads_fake = True
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """At the data and at the samples."""
        real, fake = squares(critic, batch["data"]).mean(), squares(critic, out["fake"]).mean()
        return self.gamma / 2 * (real + fake)
