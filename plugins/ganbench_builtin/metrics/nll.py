"""The likelihood of held-out data under a VAE."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import BadInput, Evaluation, Metric


@dataclass(frozen=True)
class NLL(Metric):
    """Negative log-likelihood by importance sampling (Burda et al. 2016, arXiv:1509.00519, eq. 8), held-out.

    -E_x log mean_k p(x|z_k) p(z_k) / q(z_k|x), z_k from the posterior, in nats a sample; lower is better. An
    upper bound in expectation, tighter with more codes: the model's option evaluation_particles (the
    literature takes 5,000), so compare at equal ones. Bits of grey images are no true likelihood under a
    Bernoulli decoder. nan where a weight is not a number.
    """

    name = "nll"
    values = {"nll": "lower"}
    reads = ("log_weights",)

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        seen = evaluation.inspected()
        if "log_weights" not in seen:
            raise BadInput("nll: the model shows no log_weights; choose a VAE, such as mlp-vae")
        weights = seen["log_weights"].double()
        value = math.log(len(weights)) - float(weights.logsumexp(0).mean())
        return {self.name: value if math.isfinite(value) else math.nan}
