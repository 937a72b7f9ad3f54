"""The spiral."""

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
class Spiral(Dataset):
    """An Archimedean spiral from the origin to the unit circle (after Lang and Witbrock 1988, CMSS).

    Theirs, "Learning to tell two spirals apart", are two of three turns: arms = 2. Spread about evenly along
    the curve: the radius is the root of a uniform number. The data are the same in every run.

    Arguments:
        arms: number of spirals, equally turned against each other and of equal weight.
        turns: how often each winds. Neighbouring windings are 1 / (arms turns) apart.
        noise: standard deviation around the curves, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "spiral"
    arms: Annotated[int, Field(ge=1, le=100)] = 1
    turns: Annotated[float, Field(gt=0, le=20)] = 3.0
    noise: Annotated[float, Field(ge=0)] = 0.02
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points. `root` is not used."""
        return scattered(self.name, self._curve, self.noise, self.size)

    def _curve(self, along: Tensor, which: Tensor) -> Tensor:
        radius = along.sqrt()
        arm = (which * self.arms).floor() / self.arms
        angle = 2 * math.pi * (self.turns * radius + arm)
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
