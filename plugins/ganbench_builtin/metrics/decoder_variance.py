"""What a decoder leaves to chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import BadInput, Evaluation, Metric


@dataclass(frozen=True)
class DecoderVariance(Metric):
    """Mean variance of the decoder's law around a reconstruction (Rybkin et al. 2021, arXiv:2006.13202).

    Over held-out rows and all their numbers, in squared units of the data (images lie in [-1, 1]): sigma^2
    of a Gaussian decoder, fixed or learned; 4 p (1 - p) of a Bernoulli one. 0 to inf (1 for Bernoulli), lower
    is better at an equal rate; not biased by n. nan where it is not finite.
    """

    name = "decoder-variance"
    values = {"decoder-variance": "lower"}
    reads = ("decoder_variance",)

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        seen = evaluation.inspected()
        if "decoder_variance" not in seen:
            raise BadInput(f"{self.name}: the model shows no decoder_variance; choose a VAE, such as mlp-vae")
        value = float(seen["decoder_variance"].double().mean())
        return {self.name: value if math.isfinite(value) else math.nan}
