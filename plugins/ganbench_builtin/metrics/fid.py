"""The Frechet distance of features."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganbench.components import Data, Evaluation, Metric


@dataclass(frozen=True)
class Fid(Metric):
    """Frechet distance of features, FID (Heusel et al. 2017, arXiv:1706.08500), by torch-fidelity.

    Between Gaussians fitted to the features of n samples and of n real ones. 0 to inf, lower is better.
    Biased upwards: by 4.2 at n = 500 and 1.07 at n = 2,000 for 64 features of equal distributions, by
    1,052 at n = 2,000 for the 2,048 of Inception. Compare at equal n, extractor and weights only. On raw
    points it cannot see a symmetric mode collapse: take modes or energy-distance beside it.

    nan if a sample or feature is not finite, or if n < 2; inf if the features' covariance overflows.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
    """

    name = "fid"
    values = {"fid": "lower"}
    extractor: str = ""

    def extractor_for(self, data: Data) -> str:
        """The option, or what suits the data; empty for unlabelled images, which nothing suits."""
        if self.extractor:
            return self.extractor
        if not _are_images(data):
            return "identity"
        return "classifier" if data.classes else ""

    def fits(self, data: Data) -> str | None:
        """It takes two features, and a choice of the extractor on unlabelled images."""
        extractor = self.extractor_for(data)
        if not extractor:
            return "fid on unlabelled images needs the option extractor, such as inception"
        if extractor == "classifier" and not data.classes:
            return "fid needs labelled data for its extractor classifier; choose identity or inception"
        if extractor == "identity" and data.spec.numel < 2:
            return "fid needs data of two dimensions or more"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64 on the CPU."""
        samples = evaluation.samples
        if len(samples) < 2 or not samples.isfinite().all():
            return {self.name: math.nan}
        extractor = self.extractor_for(evaluation.data)
        features = evaluation.features(extractor, samples)
        real = evaluation.features(extractor, evaluation.real(len(samples)))
        return {self.name: _frechet(features, real)}


def _are_images(data: Data) -> bool:
    return len(data.spec.shape) == 3


def _frechet(features: Tensor, real: Tensor) -> float:
    """torch-fidelity's FID of two n x d sets of features."""
    from torch_fidelity.metric_fid import (  # its import takes a second, and half of it torch's
        KEY_METRIC_FID,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )

    if not (features.isfinite().all() and real.isfinite().all()):
        return math.nan
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            ours, theirs = (fid_features_to_statistics(f.detach().cpu().double()) for f in (features, real))
            value = float(fid_statistics_to_metric(ours, theirs, verbose=False)[KEY_METRIC_FID])
    except np.linalg.LinAlgError:  # the product of the covariances overflowed
        return math.inf
    return max(0.0, value) if math.isfinite(value) else math.inf  # rounding can make a zero negative
