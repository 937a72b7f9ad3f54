"""The Frechet distance of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered


@dataclass(frozen=True)
class Fid(FeatureMetric):
    """Frechet distance of features, FID (Heusel et al. 2017, arXiv:1706.08500), by torch-fidelity.

    Between Gaussians fitted to the features of n samples and of n real ones. 0 to inf, lower is better.
    Biased upwards: by 4.2 at n = 500 and 1.07 at n = 2,000 for 64 features of equal distributions, by
    1,052 at n = 2,000 for the 2,048 of Inception. Compare at equal n, extractor and weights only. On raw
    points it cannot see a symmetric mode collapse: take modes or energy-distance as well.

    nan if a sample or feature is not finite, or if n < 2; inf if the features' covariance overflows.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
    """

    name = "fid"
    values = {"fid": "lower"}
    dimensions = 2
    limit = math.inf

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """The value, by torch-fidelity."""
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric  # it takes a second

        with np.errstate(over="ignore", invalid="ignore"):
            ours, theirs = _gaussian(features), remembered(real, "gaussian", lambda: _gaussian(real))
            try:
                value = float(fid_statistics_to_metric(ours, theirs, verbose=False)[KEY_METRIC_FID])
            except np.linalg.LinAlgError:  # the product of the covariances overflowed
                value = math.inf
        return {"fid": max(0.0, value) if math.isfinite(value) else math.inf}  # a zero is rounded below zero


def _gaussian(features: Tensor) -> dict[str, Any]:
    """Mean and covariance, as torch-fidelity has them."""
    from torch_fidelity.metric_fid import fid_features_to_statistics

    statistics: dict[str, Any] = fid_features_to_statistics(features.detach().cpu().double())
    return statistics
