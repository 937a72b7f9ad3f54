"""Spread of samples against that of data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import Evaluation, Metric


@dataclass(frozen=True)
class VarianceRatio(Metric):
    """Total variance of samples over that of data (as in Theis et al. 2016, arXiv:1511.01844).

    0 to inf; 1 is right, below it samples are too much alike (a VAE's blur, a GAN's collapse), so higher is
    called better. Not biased by n. nan where a sample is not finite, or the data do not vary.
    """

    name = "variance-ratio"
    values = {"variance-ratio": "higher"}

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        samples = evaluation.samples.flatten(1).double()
        real = evaluation.real(len(samples)).flatten(1).double()
        within = float(real.var(0, correction=0).sum())
        ratio = float(samples.var(0, correction=0).sum()) / within if within else math.nan
        return {self.name: ratio if math.isfinite(ratio) else math.nan}
