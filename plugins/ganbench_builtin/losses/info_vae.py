"""InfoVAE with a maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

import ganbench

Kernel = Literal["imq", "rbf"]


@dataclass(frozen=True)
class InfoVAE(ganbench.Loss):
    """InfoVAE: codes as a whole match the prior (Zhao et al. 2019, arXiv:1706.02262, eq. 6), by their MMD.

    With kl_weight 0 it is MMD-VAE, which is WAE-MMD (Tolstikhin et al. 2018, arXiv:1711.01558) with a random
    encoder. The discrepancy is estimated without bias, so that it may be negative.

    Reads log_likelihood and kl, each B, and code and prior, each B x latent; B is at least 2.

    Arguments:
        weight: of the squared MMD, which is at most 2: lambda of WAE, alpha + lambda - 1 of InfoVAE. Its
            size goes with the likelihood's, in nats a sample, so that published ones say little.
        kl_weight: of each code's own KL term: 1 - alpha of InfoVAE.
        kernel: of two codes at a distance d: "imq", C / (C + d^2), or "rbf", e^(-d^2 / C), where C is
            2 latent scale^2 (WAE, section 4).
        scale: of codes; 1 is that of the prior.
    """

    name = "info-vae"
    family = "variational"
    weight: Annotated[float, Field(ge=0)] = 100.0
    kl_weight: Annotated[float, Field(ge=0)] = 0.0
    kernel: Kernel = "imq"
    scale: Annotated[float, Field(gt=0)] = 1.0

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """Weighed MMD^2 and KL - log p(x|z), means over the batch."""
        discrepancy = mmd(out["code"], out["prior"], self.kernel, self.scale)
        return (self.kl_weight * out["kl"] - out["log_likelihood"]).mean() + self.weight * discrepancy


def mmd(x: Tensor, y: Tensor, kernel: Kernel, scale: Any = 1.0) -> Tensor:
    """Unbiased estimate of the squared MMD of B x d and B x d (Gretton et al. 2012, JMLR 13, eq. 4)."""
    count, width = len(x), 2 * x.shape[1] * scale**2
    if count < 2:
        what = "compares the codes of a batch with each other, so that batch must be at least 2"
        raise ganbench.BadInput(f"info-vae {what}")
    within = _similarities(x, x, kernel, width) + _similarities(y, y, kernel, width)
    apart = within.sum() - within.diagonal().sum()
    return apart / (count * (count - 1)) - 2 * _similarities(x, y, kernel, width).mean()


def _similarities(x: Tensor, y: Tensor, kernel: Kernel, width: Any) -> Tensor:
    square = (x[:, None] - y).square().sum(2)
    return width / (width + square) if kernel == "imq" else torch.exp(-square / width)
