"""The energy distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.components import Evaluation, Metric

_CHUNK = 256  # rows of a distance matrix at once: 256 x n float64
_FEW = 16  # dimensions up to which the exact distances cost no more than those by a matrix product


@dataclass(frozen=True)
class EnergyDistance(Metric):
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013, J. Stat. Plan. Inference).

    Between n samples and n real ones, points or flattened images; Euclidean norm. 0 to inf, lower is
    better, 0 only for equal distributions; it sees a symmetric mode collapse, which FID of points does not.

    This is the V-statistic, with the pairs of a sample and itself: never negative, and biased upwards by
    (E|X - X'| + E|Y - Y'|) / n, so compare at equal n only. nan if a sample is not finite.
    """

    name = "energy-distance"
    values = {"energy-distance": "lower"}

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        samples = evaluation.samples.flatten(1).double()
        if not samples.isfinite().all():
            return {self.name: math.nan}
        real = evaluation.real(len(samples)).flatten(1).to(samples)
        across, within, within_real = (
            _mean_distance(x, y) for x, y in ((samples, real), (samples, samples), (real, real))
        )
        return {self.name: max(0.0, 2 * across - within - within_real)}


def _mean_distance(x: Tensor, y: Tensor) -> float:
    few = x.shape[1] <= _FEW
    mode = "donot_use_mm_for_euclid_dist" if few else "use_mm_for_euclid_dist"
    sums = [torch.cdist(part, y, compute_mode=mode).sum() for part in torch.split(x, _CHUNK)]
    return float(torch.stack(sums).sum()) / (len(x) * len(y))
