"""Zero-centred gradient penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty, between, squares


@dataclass(frozen=True)
class ZeroCentredGP(GradientPenalty):
    """GAN-0-GP: weight E[|grad D(x)|^2] between real and fake (Thanh-Tung et al. 2019, arXiv:1902.03984).

    D is the logit here, as in every penalty. The authors' code for toy data takes the probability instead,
    whose gradient is at most a quarter of the logit's, and has larger weights for it.

    Arguments:
        weight: of the penalty.
    """

    name = "zero-centred-gp"
    reads_fake = True
    weight: Annotated[float, Field(ge=0)] = 10.0

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """Between each real sample and a fake one."""
        x = between(batch["data"], out["fake"], batch["zero-centred-gp/mix"])
        return self.weight * squares(critic, x).mean()

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Where between real and fake, uniform: B."""
        return {"zero-centred-gp/mix": ganbench.Draw((batch,), "uniform")}
