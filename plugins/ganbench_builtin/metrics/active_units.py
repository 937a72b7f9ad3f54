"""How many numbers of a code are in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ganbench import Evaluation
from ganbench_builtin.metrics._posterior import PosteriorMetric
from ganbench_builtin.models._vae import kl_dimensions


@dataclass(frozen=True)
class ActiveUnits(PosteriorMetric):
    """Active units of a VAE (Burda et al. 2016, arXiv:1509.00519, section 5.2), on held-out rows.

    active-units: the numbers of a code whose posterior mean varies with the input, Var_x(E[z|x]) > threshold.
    0 to latent, higher is better; 0 is posterior collapse, and a run that ends so is judged collapsed.
    silent-units: those whose KL to the prior is below `silence` nats on average; lower is better. The two
    part where a mean varies less than the posterior is wide. Neither is biased to speak of from n = 100 on.

    Arguments:
        threshold: of the variance, .01 in the paper.
        silence: in nats.
    """

    name = "active-units"
    values = {"active-units": "higher", "silent-units": "lower"}
    threshold: Annotated[float, Field(gt=0)] = 0.01
    silence: Annotated[float, Field(gt=0)] = 0.01

    def of(self, mean: Tensor, log_variance: Tensor, evaluation: Evaluation) -> dict[str, float]:
        """The numbers of active and of silent units."""
        quiet = kl_dimensions(mean, log_variance).mean(0) < self.silence
        active = mean.var(0, correction=0) > self.threshold
        return {"active-units": float(active.sum()), "silent-units": float(quiet.sum())}
