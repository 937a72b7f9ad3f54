"""Which bins of the data the samples fill too much or too little."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import chunks, distances


@dataclass(frozen=True)
class Ndb(FeatureMetric):
    """Number of statistically different bins, NDB / K, and JSD (Richardson and Weiss 2018, arXiv:1805.12462).

    k-means splits the features of n real samples in K bins; a sample falls in that of the nearest centre.
    Values:

    - ndb: the fraction of bins whose shares of the samples and of the real ones differ by a two-sided z-test
      of two proportions. 0 to 1, lower is better; `significance`, or .04 to .05, for equal distributions.
    - jsd: Jensen-Shannon divergence of the two shares of bins, in nats. 0 to log 2 = .69, lower is better.
      Biased upwards by about (K - 1) / (4 n), and more where both bins and dimensions are many: .0095 on a
      ring at n = 2,500; .037 at n = 1,000 and .20 at n = 250 for 64 normal features.

    Compare at equal n, bins and extractor only. Both see lost modes and wrong weights, but nothing that
    happens within a bin: a memorised training set has 0 and 0, and so have K points with the right weights.

    The bins depend on the real samples only, and are the same in all runs. The paper's are of pixels: for
    these take the extractor identity. nan if a sample or feature is not finite, or if n < bins; n should be
    ten times as many.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images, identity on points.
        bins: K; of these, any that hold no real sample are left out.
        significance: level of each bin's test.
    """

    name = "ndb"
    values = {"ndb": "lower", "jsd": "lower"}
    bins: Annotated[int, Field(ge=1)] = 100
    significance: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @property
    def least(self) -> int:
        """As many as bins."""
        return max(2, self.bins)

    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """Both values."""
        centres, expected = remembered(real, ("bins", self.bins), lambda: _bins(real, self.bins))
        counts = _counts(features, centres)
        level = torch.tensor(1 - self.significance / 2, dtype=torch.float64)
        different = _z(counts, expected).abs() > torch.special.ndtri(level)  # false for nan: the only bin
        return {"ndb": float(different.double().mean()), "jsd": _jsd(counts, expected)}


def _bins(real: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Centres of k-means, K x d, and how many real samples each has; always the same for the same ones."""
    from sklearn.cluster import KMeans  # its import takes a second
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), warnings.catch_warnings():  # threads add up in an order of their own
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different samples than bins
        found = KMeans(bins, n_init=1, random_state=0).fit(real.numpy())
    centres = torch.from_numpy(found.cluster_centers_)
    counts = _counts(real, centres)
    return centres[counts > 0], counts[counts > 0]


def _counts(features: Tensor, centres: Tensor) -> Tensor:
    nearest = torch.cat([distances(part, centres).argmin(1) for part in chunks(features)])
    return torch.bincount(nearest, minlength=len(centres)).double()


def _z(a: Tensor, b: Tensor) -> Tensor:
    """z of the difference of two proportions, under the hypothesis that they are equal."""
    n, m = a.sum(), b.sum()
    pooled = (a + b) / (n + m)
    return (a / n - b / m) / (pooled * (1 - pooled) * (1 / n + 1 / m)).sqrt()


def _jsd(a: Tensor, b: Tensor) -> float:
    p, q = a / a.sum(), b / b.sum()
    entropy = torch.special.entr
    gap = entropy((p + q) / 2).sum() - (entropy(p).sum() + entropy(q).sum()) / 2
    return max(0.0, float(gap))
