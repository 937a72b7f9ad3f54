"""The mutual information between inputs and codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench import Evaluation
from ganbench_builtin.metrics._posterior import PosteriorMetric, mutual_information, rate


@dataclass(frozen=True)
class MutualInformation(PosteriorMetric):
    """Mutual information of data and codes (Hoffman and Johnson 2016, NIPS workshop, "ELBO surgery").

    mutual-information: E_x KL(q(z|x) || q(z)) in nats, q(z) being the mixture of the n held-out posteriors,
    estimated with one code a row. 0 to log n, at which it saturates: take n >= 1,000. Higher is better; 0 is
    posterior collapse. aggregate-gap: KL(q(z) || p(z)) = rate - mutual-information, how far codes as a whole
    are from the prior; lower is better, and an estimate may be slightly below 0. Biased upwards where the
    information nears log n.
    """

    name = "mutual-information"
    values = {"mutual-information": "higher", "aggregate-gap": "lower"}

    def of(self, mean: Tensor, log_variance: Tensor, evaluation: Evaluation) -> dict[str, float]:
        """Both, in nats."""
        generator = evaluation.generator
        noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=mean.dtype)
        found = mutual_information(mean, log_variance, noise.cpu())
        return {"mutual-information": found, "aggregate-gap": rate(mean, log_variance) - found}
