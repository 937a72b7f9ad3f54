"""R2 gradient penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, squares


@dataclass(frozen=True)
class R2(GradientPenalty):
    """R2: gamma / 2 E[|grad D(G(z))|^2] on samples (Mescheder et al. 2018, arXiv:1801.04406, eq. 10).

    Arguments:
        gamma: weight of the penalty.
    """

    name = "r2"
    reads_fake = True
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """The penalty at the generated samples."""
        return self.gamma / 2 * squares(critic, out["fake"]).mean()
