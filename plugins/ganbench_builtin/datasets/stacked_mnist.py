"""Stacked MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ganbench import Data, Dataset
from ganbench_builtin.datasets._stacking import stacked
from ganbench_builtin.datasets.mnist import Mnist


@dataclass(frozen=True)
class StackedMnist(Dataset):
    """Three random MNIST digits as three channels, 1,000 modes (Metz et al. 2017, arXiv:1611.02163).

    Used so by VEEGAN (Srivastava et al. 2017, arXiv:1705.07761) and PacGAN (Lin et al. 2018,
    arXiv:1712.04086), whose 128,000 training images are the default and take 301 MB. They are stacked from
    the training digits, 10,000 test images from the test digits; the same in every run. The label of the
    digits a, b, c is 100 a + 10 b + c. Where the files of MNIST lie: see mnist.

    Arguments:
        count: number of training images.
        size: 28, or 32 with a margin of two black pixels.
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "stacked-mnist"
    places = ("root",)
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 128_000
    size: Literal[28, 32] = 28
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 3 x size x size, 1,000 classes. BadInput if MNIST is missing or damaged."""
        return stacked(self.name, Mnist(size=self.size, root=self.root).load(root), self.count)
