"""Gradient penalty of WGAN-GP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, between, norms


@dataclass(frozen=True)
class WGANGP(GradientPenalty):
    """weight E[(|grad D(x)| - target)^2] between real and fake (Gulrajani et al. 2017, arXiv:1704.00028).

    Arguments:
        weight: of the penalty.
        target: the norm that gradients are drawn to.
    """

    name = "wgan-gp"
    reads_fake = True
    weight: Annotated[float, Field(ge=0)] = 10.0
    target: Annotated[float, Field(ge=0)] = 1.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """Between each real sample and a fake one."""
        x = between(batch["data"], out["fake"], batch["wgan-gp/mix"])
        return self.weight * (norms(critic, x) - self.target).square().mean()

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Where between real and fake, uniform: B."""
        return {"wgan-gp/mix": ganbench.Draw((batch,), "uniform")}
