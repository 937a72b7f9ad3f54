"""The energy distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ganbench import Evaluation, Metric
from ganbench_builtin.metrics._features import remembered
from ganbench_builtin.metrics._pairs import distances, sum_across, sum_within


@dataclass(frozen=True)
class EnergyDistance(Metric):
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo 2013, J. Stat. Plan. Inference).

    Between n samples and n real ones, points or flattened images; Euclidean norm. 0 to inf, lower is
    better, 0 only for equal distributions; it sees a symmetric mode collapse, which FID of points does not.

    This is the V-statistic, with the pairs of a sample and itself: never negative, and biased upwards by
    (E|X - X'| + E|Y - Y'|) / n, so compare at equal n only. nan if a sample is not finite;
    inf where distances overflow.
    """

    name = "energy-distance"
    values = {"energy-distance": "lower"}

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        samples = evaluation.samples.flatten(1).double()
        if not samples.isfinite().all():
            return {self.name: math.nan}
        rows = evaluation.real(len(samples))
        real = rows.flatten(1).to(samples)
        within_real = remembered(rows, "energy within", lambda: _mean_within(real))
        across, within = _mean_distance(samples, real), _mean_within(samples)
        value = 2 * across - within - within_real
        return {self.name: max(0.0, value) if math.isfinite(value) else math.inf}


def _mean_distance(x: Tensor, y: Tensor) -> float:
    return sum_across(distances, x, y) / (len(x) * len(y))


def _mean_within(x: Tensor) -> float:
    """Of all pairs, those of a row with itself included: they add nothing."""
    return sum_within(distances, x) / len(x) ** 2
