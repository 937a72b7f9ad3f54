"""The stand-in for stacked MNIST that needs no files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ganbench import Data, Dataset
from ganbench_builtin.datasets._stacking import stacked
from ganbench_builtin.datasets.digits import Digits


@dataclass(frozen=True)
class StackedDigits(Dataset):
    """Three of scikit-learn's digits as three channels (Metz et al. 2017, arXiv:1611.02163, with MNIST).

    A stand-in for stacked-mnist that needs no files. Training images are stacked from the 1,442 training
    digits, 10,000 test images from the 355 test digits; the same in every run. The label of the digits
    a, b, c is 100 a + 10 b + c: 1,000 modes.

    Arguments:
        count: number of training images.
        size: pixels a side, interpolated above 8, as of digits.
    """

    name = "stacked-digits"
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    size: Literal[8, 16, 28, 32] = 8

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 3 x size x size, 1,000 classes. `root` is not used."""
        return stacked(self.name, Digits(size=self.size).load(None), self.count)
