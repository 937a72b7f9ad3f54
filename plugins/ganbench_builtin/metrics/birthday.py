"""How many different samples there are, by their duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import Pairwise, distances, radii, sum_within

_ROUNDING = 1e-7  # of a distance, as a share of the features' norms


@dataclass(frozen=True)
class Birthday(FeatureMetric):
    """Support size by the birthday paradox (Arora and Zhang 2017, arXiv:1706.08224).

    The paper looks for duplicates by eye in batches of s: where there is one in half of them, the support has
    some s^2 samples. Here every pair of n samples is a trial, and two are duplicates if they are no farther
    apart, in feature space, than nearest neighbours are for `share` of n real samples. Values:

    - birthday: pairs / duplicate pairs, which for N equally likely samples is N. 1 to n (n - 1) / 2, the most
      that n can show, and its value without any duplicate. Higher is better.
    - birthday-ratio: divided by the same number of the real samples. 0 to inf; 1 for equal distributions. One
      mode of eight has 1/8; so have points of a plane whose modes are shrunk by the square root of 8.

    What counts as a duplicate depends on n: compare at equal n, share and extractor only. Of equal
    distributions the ratio is 1 +- .1 on a ring at n = 2,500, 1 +- .3 at n = 1,000 for 64 normal features. It
    cannot see a memorised training set of n or more; outliers raise it.

    nan if a sample or feature is not finite, or if n < 2.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
        share: duplicates are no farther apart than this quantile of the distances between real samples and
            their nearest neighbours.
    """

    name = "birthday"
    values = {"birthday": "higher", "birthday-ratio": "higher"}
    share: Annotated[float, Field(gt=0, le=1)] = 0.1

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        reach, whole = remembered(real, ("duplicates", self.share), lambda: _yardstick(real, self.share))
        size = _support(features, reach)
        return {"birthday": size, "birthday-ratio": size / whole}


def _yardstick(real: Tensor, share: float) -> tuple[float, float]:
    """How close duplicates are, and the support size of real samples then."""
    reach = float(torch.quantile(radii(real, 1), share, interpolation="lower"))
    return reach, _support(real, reach)


def _support(features: Tensor, reach: float) -> float:
    reach += _ROUNDING * float(features.norm(dim=1).max())
    near: Pairwise = lambda x, y: (distances(x, y) <= reach).double()  # noqa: E731
    pairs = len(features) * (len(features) - 1)
    return pairs / max(2.0, sum_within(near, features))
