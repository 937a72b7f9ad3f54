"""R1 gradient penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, squares


@dataclass(frozen=True)
class R1(GradientPenalty):
    """R1: gamma / 2 E[|grad D(x)|^2] on real data (Mescheder et al. 2018, arXiv:1801.04406, eq. 9).

    Arguments:
        gamma: weight of the penalty.
    """

    name = "r1"
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """The penalty at the data."""
        return self.gamma / 2 * squares(critic, batch["data"]).mean()
