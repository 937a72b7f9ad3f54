"""Many Gaussians of unequal weight."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import Data, Dataset, stream
from ganbench_builtin.datasets._mixture import mixture


@dataclass(frozen=True)
class Gaussians(Dataset):
    """Gaussians on a grid with a long tail of weights (the tail of Cui et al. 2019, arXiv:1901.05555).

    Weights fall geometrically from the heaviest to the lightest, and stand on the grid in no order. With
    equal weights it is the grid of Lin et al. 2018 (arXiv:1712.04086). The data are the same in every run.

    Of the metric modes, reverse-kl is against uniform weights here too: the data themselves have .199, not
    0 (with the default imbalance; log count - entropy of the weights). modes-strict asks every mode for 20%
    of a uniform share: the lightest mode has 25% of one, so the data themselves reach all only for large n.

    Arguments:
        count: number of Gaussians; the grid is as square as that allows.
        imbalance: weight of the heaviest / weight of the lightest; 1 for equal weights.
        spacing: distance between neighbours.
        sigma: standard deviation of each, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "gaussians"
    count: Annotated[int, Field(ge=1, le=10_000)] = 100
    imbalance: Annotated[float, Field(ge=1, le=1e6)] = 10.0
    spacing: Annotated[float, Field(gt=0)] = 1.0
    sigma: Annotated[float, Field(gt=0)] = 0.025
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points around `count` centres. `root` is not used."""
        return mixture(self._centres(), self.sigma, self.size, self.weights())

    def weights(self) -> Tensor:
        """The share of each Gaussian, float64, in the order of the centres."""
        rank = torch.randperm(self.count, generator=stream("cpu", 0, self.name, "rank"), device="cpu")
        share = self.imbalance ** -(rank.double() / max(1, self.count - 1))
        return share / share.sum()

    def _centres(self) -> Tensor:
        """Row by row, centred."""
        side = math.isqrt(self.count - 1) + 1
        place = torch.arange(self.count, device="cpu")
        cells = torch.stack([place % side, place // side], dim=1).double()
        middle = (cells.amax(dim=0) + cells.amin(dim=0)) / 2
        return self.spacing * (cells - middle)
