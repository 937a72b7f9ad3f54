"""A metric."""

from dataclasses import dataclass
from typing import Annotated

import ganbench
import torch
from pydantic import Field


@dataclass(frozen=True)
class RadialWasserstein(ganbench.Metric):
    """Wasserstein distance of samples' and data's radii (Ramdas et al. 2017, arXiv:1509.02237).

    A radius is the distance from the mean of the data; in one dimension, sorted values are compared.
    0 to inf, lower is better; nan or inf if a sample is not finite. It sees how far from
    the mean samples lie, and not in which direction.

    Arguments:
        order: of the distance, 1 or more.
    """

    name = "radial-wasserstein"
    values = {"radial-wasserstein": "lower"}
    order: Annotated[float, Field(ge=1)] = 1.0

    def measure(self, evaluation: ganbench.Evaluation) -> dict[str, float]:
        """The distance, in float64, of as many samples as there are real ones."""
        samples = evaluation.samples.flatten(1).double()
        real = evaluation.real(len(samples)).flatten(1).to(samples)  # fewer if the data set is smaller
        centre = real.mean(0)
        radii, wanted = (
            torch.linalg.vector_norm(x - centre, dim=1).sort().values for x in (samples[: len(real)], real)
        )
        distance = (radii - wanted).abs().pow(self.order).mean() ** (1 / self.order)
        return {self.name: distance.item()}
