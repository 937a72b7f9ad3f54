"""Both halves of the ELBO apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ganbench import Evaluation
from ganbench_builtin.metrics._posterior import PosteriorMetric, rate


@dataclass(frozen=True)
class RateDistortion(PosteriorMetric):
    """Rate and distortion of a VAE (Alemi et al. 2018, arXiv:1711.00464, section 2), on held-out rows.

    distortion: -E log p(x|z), z from the posterior; rate: E KL(q(z|x) || p(z)); both in nats a sample, and
    their sum is the negative ELBO. Lower is better, of each at a given value of the other: a rate of 0 is
    posterior collapse. distortion depends on the decoder's law and on the units of the data; it may be
    negative for densities.
    """

    name = "rate-distortion"
    values = {"distortion": "lower", "rate": "lower"}
    reads = (*PosteriorMetric.reads, "log_likelihood")

    def of(self, mean: Tensor, log_variance: Tensor, evaluation: Evaluation) -> dict[str, float]:
        """Distortion and rate, in nats."""
        distortion = -float(evaluation.inspected()["log_likelihood"].double().mean())
        distortion = distortion if math.isfinite(distortion) else math.nan
        return {"distortion": distortion, "rate": rate(mean, log_variance)}
