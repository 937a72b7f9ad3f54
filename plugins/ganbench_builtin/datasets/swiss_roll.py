"""The Swiss roll."""

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

_START = 1.5 * math.pi  # the angle at the inner end
_OUTSIDE = 0.6 * math.pi  # the radius at the outer end: scikit-learn's 4.5 pi, divided by 7.5


@dataclass(frozen=True)
class SwissRoll(Dataset):
    """The section of the Swiss roll, in the plane (Tenenbaum et al. 2000, Science 290, Isomap).

    A spiral whose radius grows in proportion to its angle, from 1.5 pi on; uniform in the angle, so
    denser inside. The defaults are the toy data of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028):
    scikit-learn's make_swiss_roll with noise .25, divided by 7.5. The data are the same in every run.

    Arguments:
        turns: how often it winds; its outer end is always 1.88 from the origin.
        noise: standard deviation around the curve, in each of the two directions.
        size: number of training points (the test part always has 10,000).
    """

    name = "swiss-roll"
    turns: Annotated[float, Field(gt=0, le=20)] = 1.5
    noise: Annotated[float, Field(ge=0)] = 0.25 / 7.5
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000

    def load(self, root: Path | None) -> Data:
        """`size` x 2 float32 points. `root` is not used."""
        return scattered(self.name, self._curve, self.noise, self.size)

    def _curve(self, along: Tensor, which: Tensor) -> Tensor:
        angle = _START + 2 * math.pi * self.turns * along
        radius = _OUTSIDE / (_START + 2 * math.pi * self.turns) * angle
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
