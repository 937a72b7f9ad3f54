"""The ring of Gaussians."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from ganbench import Data, Dataset
from ganbench_builtin.datasets._mixture import mixture


@dataclass(frozen=True)
class Ring(Dataset):
    """Gaussians on a circle, equally spaced and weighted (Lin et al. 2018, PacGAN, arXiv:1712.04086).

    The data themselves are the same in every run, whatever its seed.

    Arguments:
        modes: number of Gaussians.
        radius: radius of the circle.
        sigma: standard deviation of each, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "ring"
    modes: Annotated[int, Field(ge=1, le=10_000)] = 8
    radius: Annotated[float, Field(gt=0)] = 1.0
    sigma: Annotated[float, Field(gt=0)] = 0.01
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points. `root` is not used."""
        # The full turn itself is left out: it is the angle 0 again, and would make 7 modes of 8.
        angle = torch.arange(self.modes, dtype=torch.float64, device="cpu") * (2 * math.pi / self.modes)
        return mixture(self.radius * torch.stack([angle.cos(), angle.sin()], dim=1), self.sigma, self.size)
