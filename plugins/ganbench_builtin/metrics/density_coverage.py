"""Density and coverage of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import chunks, distances, radii


@dataclass(frozen=True)
class DensityCoverage(FeatureMetric):
    """Density and coverage of features (Naeem et al. 2020, arXiv:2002.09797, sec. 3).

    Around each of n real features lies a ball that reaches to its k-th nearest other one, without its
    boundary, as in the authors' code. Values:

    - density: real balls that a sample lies in, mean over samples, divided by k. 0 to n / k, higher is
      better; 1 is expected for equal distributions, and above it samples crowd where real ones are dense.
    - coverage: real balls with a sample. 0 to 1, higher is better; for equal distributions about 1 - 2^-k is
      expected at any n, .969 for k = 5.

    Of equal distributions, density is 1 +- .01 on a ring at n = 2,500, 1 +- .06 at n = 1,000 for 64 normal
    features. Coverage sees lost modes, and little of the weights of those that are left; density sees
    outliers, but a point in a dense place has 1 or more. A memorised training set has 1 and 1. Where more
    than k real ones are copies of each other, their balls are empty, and cannot be covered.

    nan if a sample or feature is not finite, or if n <= k.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
        k: neighbours.
    """

    name = "density-coverage"
    values = {"density": "higher", "coverage": "higher"}
    k: Annotated[int, Field(ge=1)] = 5

    @property
    def least(self) -> int:
        """Enough samples for each to have a k-th neighbour."""
        return self.k + 1

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        reach = remembered(real, ("radii", self.k), lambda: radii(real, self.k))
        inside, covered, first = 0, 0, 0
        for part in chunks(real):
            found = distances(part, features) < reach[first : first + len(part), None]
            inside += int(found.sum())
            covered += int(found.any(1).sum())
            first += len(part)
        return {"density": inside / (self.k * len(features)), "coverage": covered / len(real)}
