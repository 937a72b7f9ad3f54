"""How far samples are from each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import distances, sum_within


@dataclass(frozen=True)
class Diversity(FeatureMetric):
    """Mean distance between the features of two samples (as Zhu et al. 2017, BicycleGAN, arXiv:1711.11586).

    Theirs is of LPIPS features; here, Euclidean, of any extractor's, over all pairs of n samples. Values:

    - diversity: 0 to inf, in units of the features, higher is better. Not biased by n.
    - diversity-ratio: divided by that of n real samples. 0 to inf; 1 for equal distributions (+- .003 at
      n = 1,000 for 64 normal features), below it samples are less varied; above it more, which can be noise.
      nan where all real ones are alike.

    It cannot see a symmetric mode collapse (half of a ring's 8 modes: .96), whose samples are as far apart,
    nor wrong modes, nor a memorised training set. nan if a sample or feature is not finite, or if n < 2.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
    """

    name = "diversity"
    values = {"diversity": "higher", "diversity-ratio": "higher"}

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        own, whole = _mean_distance(features), remembered(real, "diversity", lambda: _mean_distance(real))
        return {"diversity": own, "diversity-ratio": own / whole if whole else math.nan}


def _mean_distance(features: Tensor) -> float:
    return sum_within(distances, features) / (len(features) * (len(features) - 1))
