"""Evidence lower bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench


@dataclass(frozen=True)
class ELBO(ganbench.Loss):
    """Negative evidence lower bound (Kingma and Welling 2014, arXiv:1312.6114, eq. 10), in nats.

    Reads log_likelihood and kl, each B.
    """

    name = "elbo"
    family = "variational"
    reads_kl = True  # its weight can be annealed

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """KL(q(z|x) || p(z)) - log p(x|z), mean over the batch."""
        return (out["kl"] - out["log_likelihood"]).mean()
