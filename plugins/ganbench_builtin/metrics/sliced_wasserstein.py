"""The sliced Wasserstein distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ganbench import Evaluation, Metric


@dataclass(frozen=True)
class SlicedWasserstein(Metric):
    """Sliced Wasserstein distance (Rabin et al. 2011, SSVM; Deshpande et al. 2018, arXiv:1803.11188).

    n samples and n real ones, points or flattened images, are projected on random directions, along which W_p
    has a closed form: (mean over directions of W_p^p)^(1/p). 0 to inf, in units of the data, lower is better,
    0 only for equal distributions; it sees a symmetric mode collapse. Directions are drawn anew at each
    evaluation. Biased upwards, for p = 2 about as n^(-1/2): of equal distributions it is .07 +- .01 on a
    ring at n = 2,500 (half of its 8 modes: .22); .081 at n = 1,000 and .154 at n = 250 for 64 normal numbers.
    Compare at equal n, p and number of directions only. In many dimensions most directions look alike: it
    sees means and variances of pixels, and little of what images show.

    nan if a sample is not finite.

    Arguments:
        p: the power of the distance.
        projections: number of directions.
    """

    name = "sliced-wasserstein"
    values = {"sliced-wasserstein": "lower"}
    p: Annotated[float, Field(ge=1)] = 2.0
    projections: Annotated[int, Field(ge=1)] = 128

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        samples = evaluation.samples.flatten(1).double()
        if not samples.isfinite().all():
            return {self.name: math.nan}
        real = evaluation.real(len(samples)).flatten(1).to(samples)
        axes = self.directions(samples.shape[1], evaluation.generator).to(samples)
        powers = _transport(_sorted(samples @ axes), _sorted(real @ axes), self.p)
        return {self.name: float(powers.mean() ** (1 / self.p))}

    def directions(self, dimensions: int, generator: torch.Generator) -> Tensor:
        """Uniform on the sphere: dimensions x projections."""
        shape = dimensions, self.projections
        axes = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float64)
        return axes / axes.norm(dim=0)


def _sorted(projected: Tensor) -> np.ndarray:
    """projections x n, by numpy: on a CPU it sorts some thirty times as fast as torch."""
    return np.sort(np.ascontiguousarray(projected.cpu().numpy().T), axis=1)


def _transport(x: np.ndarray, y: np.ndarray, p: float) -> np.ndarray:
    """W_p^p of each row's n values of x and m of y: the integral over quantiles, which are steps."""
    n, m = x.shape[1], y.shape[1]
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # of steps, in units of 1 / (n m)
    gaps = np.abs(x[:, (ends - 1) // m] - y[:, (ends - 1) // n])
    with np.errstate(over="ignore"):
        return gaps**p @ (np.diff(ends, prepend=0) / (n * m))
