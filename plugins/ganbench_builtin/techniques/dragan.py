"""Gradient penalty of DRAGAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, between, norms


@dataclass(frozen=True)
class DRAGAN(GradientPenalty):
    """DRAGAN: weight E[(|grad D(x)| - 1)^2] around the data (Kodali et al. 2017, arXiv:1705.07215).

    Where x lies is the authors' code's: between a sample and itself plus spread * s * u, with s the standard
    deviation of all numbers in the batch and u uniform in [0, 1), one for each number.

    Arguments:
        weight: of the penalty.
        spread: how far from the data, in standard deviations of the batch.
    """

    name = "dragan"
    weight: Annotated[float, Field(ge=0)] = 10.0
    spread: Annotated[float, Field(ge=0)] = 0.5

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """Between each real sample and itself disturbed."""
        real = batch["data"]
        disturbed = real + self.spread * real.std(correction=0) * batch["dragan/noise"]
        x = between(real, disturbed, batch["dragan/mix"])
        return self.weight * (norms(critic, x) - 1).square().mean()

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """The disturbance, B x shape, and how much of it, B; both uniform."""
        return {
            "dragan/noise": ganbench.Draw((batch, *spec.shape), "uniform"),
            "dragan/mix": ganbench.Draw((batch,), "uniform"),
        }
