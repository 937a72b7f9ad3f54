"""The grid of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from ganbench import Data, Dataset
from ganbench_builtin.datasets._mixture import mixture


@dataclass(frozen=True)
class Grid(Dataset):
    """Gaussians on a square grid around the origin (Lin et al. 2018, PacGAN, arXiv:1712.04086).

    The defaults put 25 at {-4, -2, 0, 2, 4}^2. The data are the same in every run, whatever its seed.

    Arguments:
        side: Gaussians along one side; there are side^2.
        spacing: distance between neighbours.
        sigma: standard deviation of each, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "grid"
    side: Annotated[int, Field(ge=1, le=100)] = 5
    spacing: Annotated[float, Field(gt=0)] = 2.0
    sigma: Annotated[float, Field(gt=0)] = 0.05
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points. `root` is not used."""
        ticks = self.spacing * (
            torch.arange(self.side, dtype=torch.float64, device="cpu") - (self.side - 1) / 2
        )
        return mixture(torch.cartesian_prod(ticks, ticks), self.sigma, self.size)
