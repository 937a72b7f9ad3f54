"""Precision and recall of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import chunks, distances, radii


@dataclass(frozen=True)
class PrecisionRecall(FeatureMetric):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, sec. 2).

    Around each of n real features lies a ball that reaches to its k-th nearest other one, and around the
    features of n samples likewise, boundaries included. Values:

    - precision: samples in some real ball. 0 to 1, higher is better.
    - recall: real ones in some sample's ball. 0 to 1, higher is better.

    Equal distributions do not reach 1: both have .99 on a ring at n = 2,500, .72 at n = 1,000 and .78 at
    n = 250 for 64 normal features. Compare at equal n, k and extractor only. One sample far off has a ball
    that holds many real ones, so recall rewards outliers, and precision forgives where the data have some.
    Neither sees wrong weights of modes; a memorised training set has 1 and 1.

    nan if a sample or feature is not finite, or if n <= k. Cost: 70 ms for 2,500 points.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
        k: neighbours (the paper has 3; 5 as density-coverage).
    """

    name = "precision-recall"
    values = {"precision": "higher", "recall": "higher"}
    k: Annotated[int, Field(ge=1)] = 5

    @property
    def least(self) -> int:
        """Enough samples for each to have a k-th neighbour."""
        return self.k + 1

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        reach_real = remembered(real, ("radii", self.k), lambda: radii(real, self.k))
        reach = radii(features, self.k)
        precise, recalled, first = 0, torch.zeros(len(real), dtype=torch.bool), 0
        for part in chunks(features):
            found = distances(part, real)
            precise += int((found <= reach_real).any(1).sum())
            recalled = recalled | (found <= reach[first : first + len(part), None]).any(0)
            first += len(part)
        return {"precision": precise / len(features), "recall": float(recalled.double().mean())}
