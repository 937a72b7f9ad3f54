"""Free bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class FreeBits(ganbench.Loss):
    """Negative ELBO with free bits in each dimension of codes (Kingma et al. 2016, arXiv:1606.04934, C.8).

    Reads log_likelihood (B) and kl_dimensions (B x latent). A dimension whose KL term, averaged over the
    batch, is below the floor costs the floor, and so nothing presses it further down.

    Arguments:
        floor: nats a dimension that are free; the paper's lambda, for which it tries 1/8 to 2.
    """

    name = "free-bits"
    family = "variational"
    reads_kl = True  # its weight can be annealed
    floor: Annotated[float, Field(ge=0)] = 0.25

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """Sum over dimensions of max(floor, mean KL) - mean log p(x|z)."""
        above = F.relu(out["kl_dimensions"].mean(0) - self.floor)
        return (above + self.floor).sum() - out["log_likelihood"].mean()
