"""The data of the Dirac-GAN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from ganbench import Data, Dataset


@dataclass(frozen=True)
class Point(Dataset):
    """A Dirac distribution at the origin of the line (Mescheder et al. 2018, arXiv:1801.04406).

    Arguments:
        size: number of (equal) training points; the test part has as many.
    """

    name = "point"
    size: Annotated[int, Field(ge=1, le=10_000_000)] = 64

    def load(self, root: Path | None) -> Data:
        """`size` x 1 float32 zeros. `root` is not used."""
        zeros = torch.zeros(self.size, 1, dtype=torch.float32, device="cpu")
        return Data(train=zeros, test=zeros.clone())
