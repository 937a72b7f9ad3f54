"""What metrics of a VAE's posterior share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganbench import BadInput, Evaluation, Metric
from ganbench_builtin.models._vae import kl_dimensions

_BLOCK = 4_000_000  # numbers of a block of pairs


@dataclass(frozen=True)
class PosteriorMetric(Metric):
    """Reads mean and log_variance of the posterior of held-out rows; nan where one is not finite."""

    reads: ClassVar[tuple[str, ...]] = ("mean", "log_variance")

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """All values."""
        seen = evaluation.inspected()
        if not {"mean", "log_variance"} <= seen.keys():
            raise BadInput(f"{self.name}: the model shows no posterior; choose a VAE, such as mlp-vae")
        mean, log_variance = seen["mean"].cpu().double(), seen["log_variance"].cpu().double()
        if not (mean.isfinite().all() and log_variance.isfinite().all()):
            return dict.fromkeys(self.values, math.nan)
        return self.of(mean, log_variance, evaluation)

    @abstractmethod
    def of(self, mean: Tensor, log_variance: Tensor, evaluation: Evaluation) -> dict[str, float]:
        """All values, of finite n x latent, float64, on the CPU."""


def rate(mean: Tensor, log_variance: Tensor) -> float:
    """E_x KL(q(z|x) || p(z)) in nats, of n x latent."""
    return float(kl_dimensions(mean, log_variance).sum(1).mean())


def mutual_information(mean: Tensor, log_variance: Tensor, noise: Tensor) -> float:
    """E_x E_{z ~ q(z|x)} [log q(z|x) - log mean_j q(z|x_j)] in nats, of one code of each of the n rows."""
    n, latent = mean.shape
    codes = mean + torch.exp(log_variance / 2) * noise
    own = _log_density(codes, mean, log_variance)
    size = max(1, _BLOCK // (n * latent))
    mixture = torch.cat(
        [_log_density(block[:, None], mean, log_variance).logsumexp(1) for block in codes.split(size)]
    )
    return float((own - mixture).mean()) + math.log(n)


def _log_density(codes: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(codes; mean, e^log_variance), summed over the last axis, without its constant."""
    return -((codes - mean).square() * torch.exp(-log_variance) + log_variance).sum(-1) / 2
