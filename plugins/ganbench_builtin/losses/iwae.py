"""Importance-weighted autoencoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import ganbench


@dataclass(frozen=True)
class IWAE(ganbench.Loss):
    """Negative importance-weighted bound (Burda et al. 2016, arXiv:1509.00519, eq. 8), in nats.

    Reads log_weights, particles x B. The model's option `particles` is the paper's k, 5 or 50 there; with
    one the bound is the ELBO, its KL term sampled.
    """

    name = "iwae"
    family = "variational"

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """Minus the logarithm of the particles' mean weight, mean over the batch."""
        weights = out["log_weights"]
        return math.log(len(weights)) - torch.logsumexp(weights, dim=0).mean()
