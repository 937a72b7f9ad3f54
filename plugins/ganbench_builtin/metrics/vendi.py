"""The Vendi score of features."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered


@dataclass(frozen=True)
class Vendi(FeatureMetric):
    """Vendi score: how many different samples, in effect (Friedman and Dieng 2023, arXiv:2210.02410, sec. 3).

    exp of the entropy of the eigenvalues of K / n, where K holds the cosines between the features of n
    samples. Values:

    - vendi: 1 (all point in one direction) to the smaller of n and d, higher is better.
    - vendi-ratio: divided by that of n real samples. 0 to inf; 1 for equal distributions, below it samples
      are less varied; above it more, which can be noise.

    vendi is biased downwards (62.0 at n = 1,000 and 56.5 at n = 250 for 64 normal features, whose score is
    64); compare it at equal n and extractor only. It sees directions of features, not lengths: on points of a
    plane it is 2 at most, and sees a collapse to one mode, but not to four of a ring. It does not look at how
    well samples fit the data, and cannot see a memorised training set.

    nan if a sample or feature is not finite, or if n < 2. A feature of zeros is unlike all others.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
    """

    name = "vendi"
    values = {"vendi": "higher", "vendi-ratio": "higher"}
    dimensions = 2

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        score = _score(features)
        return {"vendi": score, "vendi-ratio": score / remembered(real, "vendi", lambda: _score(real))}


def _score(features: Tensor) -> float:
    x = F.normalize(features, eps=1e-100)  # below 1e-150, norms underflow
    dual = x.T @ x if x.shape[1] < len(x) else x @ x.T  # both have the eigenvalues of K above 0
    share = torch.linalg.eigvalsh(dual / len(x)).clamp(min=0)  # rounding makes zeros negative
    return math.exp(float(torch.special.entr(share).sum()))
