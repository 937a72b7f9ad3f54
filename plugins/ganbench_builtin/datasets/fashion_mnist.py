"""Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganbench import Data, Dataset
from ganbench_builtin.datasets._files import data_folder
from ganbench_builtin.datasets._idx_images import idx_images


@dataclass(frozen=True)
class FashionMnist(Dataset):
    """Fashion-MNIST: 60,000 and 10,000 articles of clothing, 28 x 28 (Xiao et al. 2017, arXiv:1708.07747).

    Files are looked for in FashionMNIST/raw under the folder of data, as torchvision lays them out, and in
    that folder itself; gzipped ones are read as they are. Missing ones are downloaded.

    Arguments:
        size: 28, or 32 with a margin of two black pixels.
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "fashion-mnist"
    places = ("root",)
    size: Literal[28, 32] = 28
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 1 x size x size, 10 classes. BadInput if missing or damaged."""
        return idx_images(self.name, "FashionMNIST", data_folder(self.root, root), self.size)
