"""Beta-TCVAE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import ganbench


@dataclass(frozen=True)
class BetaTC(ganbench.Loss):
    """Negative ELBO with a weighed total correlation (Chen et al. 2018, arXiv:1802.04942, eq. 4), in nats.

    KL = mutual information of x and z + total correlation of z + KL of each dimension of z from the prior
    (eq. 2), where z follows the aggregate posterior q(z), the mean of q(z|x) over the data. Here that mean
    is over the batch: the paper's minibatch-weighted sampling (eq. S6) but for the logarithm of the size of
    the data set, a constant that moves between the three terms and has no gradient.

    Reads log_likelihood (B), and code, mean and log_variance (B x latent). Memory is B x B x latent.

    Arguments:
        alpha: weight of the mutual information.
        beta: weight of the total correlation.
        gamma: weight of the KL of dimensions.
    """

    name = "beta-tc"
    family = "variational"
    alpha: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 6.0
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def vae(self, out: Mapping[str, Tensor]) -> Tensor:
        """Alpha MI + beta TC + gamma KL of dimensions - log p(x|z), means over the batch."""
        information, correlation, dimensions = terms(out["code"], out["mean"], out["log_variance"])
        kl = self.alpha * information + self.beta * correlation + self.gamma * dimensions
        return kl - out["log_likelihood"].mean()


def terms(code: Tensor, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates of mutual information, total correlation and KL of dimensions, in nats.

    They add up to the mean of log q(z|x) - log p(z) at the codes.
    """
    prior = _log_normal(code, torch.zeros_like(code), torch.zeros_like(code)).sum(1)
    posterior = _log_normal(code, mean, log_variance).sum(1)
    each = _log_normal(code[:, None], mean, log_variance)  # code i under the posterior of j: B x B x latent
    count = math.log(len(code))
    aggregate = torch.logsumexp(each.sum(2), dim=1) - count
    marginals = (torch.logsumexp(each, dim=1) - count).sum(1)
    return (posterior - aggregate).mean(), (aggregate - marginals).mean(), (marginals - prior).mean()


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    square = ((x - mean) * torch.exp(-log_variance / 2)).square()
    return -(square + log_variance + math.log(2 * math.pi)) / 2
