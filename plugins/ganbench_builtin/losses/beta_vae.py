"""Beta-VAE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench


@dataclass(frozen=True)
class BetaVAE(ganbench.Loss):
    """Negative evidence lower bound whose KL term is weighed (Higgins et al. 2017, ICLR, eq. 4), in nats.

    Reads log_likelihood and kl, each B. Published weights go with likelihoods that are sums over pixels, as
    here, not means.

    Arguments:
        beta: weight of the KL term; 1 is the ELBO. The paper's least is 4.
    """

    name = "beta-vae"
    family = "variational"
    reads_kl = True  # its weight can be annealed
    beta: Annotated[float, Field(ge=0)] = 4.0

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """Beta KL(q(z|x) || p(z)) - log p(x|z), mean over the batch."""
        return (self.beta * out["kl"] - out["log_likelihood"]).mean()
