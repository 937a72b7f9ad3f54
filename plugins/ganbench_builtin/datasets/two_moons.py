"""Two moons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import Data, Dataset
from ganbench_builtin.datasets._curves import scattered


@dataclass(frozen=True)
class TwoMoons(Dataset):
    """Two interleaved half circles (Zhou et al. 2004, "Learning with Local and Global Consistency", NIPS 16).

    Laid out as scikit-learn's make_moons, of radius 1, but centred: each moon is the other one turned by
    half a turn about the origin. Each has half of the weight. The data are the same in every run.

    Arguments:
        noise: standard deviation around the curves, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "two-moons"
    noise: Annotated[float, Field(ge=0)] = 0.05
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points. `root` is not used."""
        return scattered(self.name, _moons, self.noise, self.size)


def _moons(along: Tensor, which: Tensor) -> Tensor:
    angle = math.pi * along
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)
    return torch.where(which[:, None] < 0.5, upper, -upper)
