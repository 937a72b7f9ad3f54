"""One-sided gradient penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

import ganbench
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, between, norms


@dataclass(frozen=True)
class OneSidedGP(GradientPenalty):
    """WGAN-LP: weight E[max(0, |grad D| - 1)^2] between real and fake (Petzka et al. 2018, arXiv:1709.08894).

    A gradient below 1 costs nothing: it violates no Lipschitz constraint.

    Arguments:
        weight: of the penalty.
    """

    name = "one-sided-gp"
    reads_fake = True
    weight: Annotated[float, Field(ge=0)] = 10.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """Between each real sample and a fake one."""
        x = between(batch["data"], out["fake"], batch["one-sided-gp/mix"])
        return self.weight * F.relu(norms(critic, x) - 1).square().mean()

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Where between real and fake, uniform: B."""
        return {"one-sided-gp/mix": ganbench.Draw((batch,), "uniform")}
