"""How many modes of a mixture the samples cover."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench import Data, Evaluation, Metric

_DEVIATIONS = 3.0
_STRICT_SHARE = 0.2


@dataclass(frozen=True)
class Modes(Metric):
    """Mode coverage of a mixture (Srivastava et al. 2017, VEEGAN; Lin et al. 2018, PacGAN).

    A sample is of high quality if it lies within 3 sigma of its nearest centre. Values:

    - modes: centres with at least one high-quality sample. 0 to K, higher is better. Grows with n.
    - modes-strict: centres with at least 20% of their fair share n/K of them. 0 to K, higher is better.
    - high-quality: the fraction of such samples, 0 to 1, higher is better. The data themselves reach
      .989 in two dimensions; above it the samples are shrunk within their modes.
    - reverse-kl: KL(share of each mode among high-quality samples || uniform), in nats. 0 to log K, and
      inf without such samples; lower is better. Biased upwards by about (K - 1) / (2 n).
    - spread: standard deviation within modes / sigma, over high-quality samples, pooled over modes, each
      about its own mean. 0 to 3 and a little more; the data themselves reach .974 in two dimensions
      (the cut at 3 sigma). Below it the samples are shrunk; above it they are blurred. nan where no mode
      has two samples.

    The usual n is 2,500. Samples that are not finite are of low quality.
    """

    name = "modes"
    values = {
        "modes": "higher",
        "modes-strict": "higher",
        "high-quality": "higher",
        "reverse-kl": "lower",
        "spread": "higher",
    }

    def fits(self, data: Data) -> str | None:
        """Only mixtures with known centres have modes to count."""
        if data.modes is None or not data.sigma:
            return "modes are counted on data with known centres only, such as ring or grid"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """All values, from the samples' nearest centres."""
        modes, sigma = evaluation.data.modes, evaluation.data.sigma
        assert modes is not None  # see fits
        assert sigma is not None
        samples = evaluation.samples.flatten(1).double()
        # The fast way of cdist, by a matrix product, loses the digits that a small sigma needs.
        distances = torch.cdist(samples, modes.to(samples), compute_mode="donot_use_mm_for_euclid_dist")
        nearest, mode = distances.min(dim=1)
        good = nearest < _DEVIATIONS * sigma  # false for nan
        counts = torch.bincount(mode[good], minlength=len(modes)).double()
        return {
            "modes": float((counts > 0).sum()),
            "modes-strict": float((counts >= max(1.0, _STRICT_SHARE * len(samples) / len(modes))).sum()),
            "high-quality": float(good.double().mean()),
            "reverse-kl": _kl_to_uniform(counts),
            "spread": _pooled_deviation(samples[good], mode[good], counts) / sigma,
        }


def _kl_to_uniform(counts: Tensor) -> float:
    total = counts.sum()
    if total == 0:
        return math.inf
    share = counts / total
    return max(0.0, float(torch.special.xlogy(share, share * len(counts)).sum()))


def _pooled_deviation(points: Tensor, mode: Tensor, counts: Tensor) -> float:
    """Standard deviation of one coordinate within modes; each mode's mean costs a degree of freedom."""
    freedom = points.shape[1] * float((counts - 1).clamp(min=0).sum())
    if freedom == 0:
        return math.nan
    sums = torch.zeros(len(counts), points.shape[1]).to(points).index_add(0, mode, points)
    means = sums / counts.clamp(min=1)[:, None]
    return math.sqrt(float((points - means[mode]).square().sum()) / freedom)
