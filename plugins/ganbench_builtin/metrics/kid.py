"""The kernel distance of features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganbench_builtin.metrics._distances import chunks, distances
from ganbench_builtin.metrics._features import FeatureMetric, remembered

_FOR_MEDIAN = 1000  # real samples whose distances the median is taken of
_TINY = 1e-150  # its square is above 0

Kernel = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Kid(FeatureMetric):
    """Kernel distance of features, KID (Binkowski et al. 2018, arXiv:1801.01401, sec. 4).

    The squared maximum mean discrepancy between n samples and n real ones, unbiased. Lower is better, 0 for
    equal distributions; to inf for the polynomial kernel (x.y / d + 1)^3, to 2 for the Gaussian one,
    exp(-|x - y|^2 / (2 bandwidth^2)). An unbiased estimate of 0 is as often below 0: of equal distributions
    it is 0 +- {POLY} at n = 1,000 for 64 normal features. Well below 0, samples are copies of the real ones.

    The polynomial kernel compares three moments and no more: on points it cannot see a symmetric mode
    collapse; take the Gaussian one there. It sees nothing much smaller than its bandwidth.

    nan if a sample or feature is not finite, if n < 2 (or < `subset_size`, with subsets); inf on overflow.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
        kernel: polynomial or gaussian.
        bandwidth: of the Gaussian kernel; 0 for the median distance between real samples. torch-fidelity: 10.
        subsets: 0 to use all samples at once, which is the most precise; else the mean over so many random
            subsets, by torch-fidelity: the literature has 100, and 0.1 s each.
        subset_size: samples in a subset, of either side.
    """

    name = "kid"
    values = {"kid": "lower"}
    kernel: Literal["polynomial", "gaussian"] = "polynomial"
    bandwidth: Annotated[float, Field(ge=0)] = 0.0
    subsets: Annotated[int, Field(ge=0)] = 0
    subset_size: Annotated[int, Field(ge=2)] = 1000

    @property
    def least(self) -> int:
        """Two, or a subset."""
        return self.subset_size if self.subsets else 2

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """The value."""
        value = (self._of_subsets if self.subsets else self._of_all)(features, real)
        return {self.name: value if math.isfinite(value) else math.inf}

    def _of_all(self, features: Tensor, real: Tensor) -> float:
        kernel = self._kernel(real)
        within_real = remembered(real, self, lambda: _mean_within(kernel, real))
        return _mean_within(kernel, features) + within_real - 2 * _mean_across(kernel, features, real)

    def _of_subsets(self, features: Tensor, real: Tensor) -> float:
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

        found = kid_features_to_metric(
            features,
            real,
            kid_subsets=self.subsets,
            kid_subset_size=self.subset_size,
            kid_kernel="poly" if self.kernel == "polynomial" else "rbf",
            kid_kernel_rbf_sigma=self._sigma(real),
            verbose=False,
        )
        return float(found[KEY_METRIC_KID_MEAN])

    def _kernel(self, real: Tensor) -> Kernel:
        if self.kernel == "polynomial":
            return _polynomial
        sigma = self._sigma(real)
        return lambda x, y: torch.exp(-0.5 * (distances(x, y) / sigma).square())

    def _sigma(self, real: Tensor) -> float:
        return self.bandwidth or remembered(real, "median distance", lambda: _median_distance(real))


def _polynomial(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _median_distance(real: Tensor) -> float:
    """Between different rows; tiny where more than half of them are equal."""
    few = real[:_FOR_MEDIAN]
    rows, columns = torch.triu_indices(len(few), len(few), offset=1)
    return max(_TINY, float(distances(few, few)[rows, columns].median()))


def _mean_across(kernel: Kernel, x: Tensor, y: Tensor) -> float:
    return float(torch.stack([kernel(part, y).sum() for part in chunks(x)]).sum()) / (len(x) * len(y))


def _mean_within(kernel: Kernel, x: Tensor) -> float:
    """Over pairs of different rows."""
    own = torch.stack([kernel(row, row).sum() for row in x.split(1)]).sum()
    return (_mean_across(kernel, x, x) * len(x) ** 2 - float(own)) / (len(x) * (len(x) - 1))
