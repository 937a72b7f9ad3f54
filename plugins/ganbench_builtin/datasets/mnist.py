"""MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from platformdirs import user_cache_path
from torch import Tensor

from ganbench.components import Data, Dataset
from ganbench.errors import BadInput, Problem
from ganbench_builtin.datasets._files import download
from ganbench_builtin.datasets._idx import read_idx

_SIDE = 28
_FILES = tuple(
    f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)


@dataclass(frozen=True)
class Mnist(Dataset):
    """MNIST: 60,000 and 10,000 handwritten digits, 28 x 28 (LeCun et al. 1998, Proc. IEEE 86(11)).

    Files are looked for in MNIST/raw under the folder of data, as torchvision lays them out, and in
    that folder itself; gzipped ones are read as they are. Missing ones are downloaded.

    Arguments:
        size: 28, or 32 with a margin of two black pixels.
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "mnist"
    places = ("root",)
    size: Literal[28, 32] = 28
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 1 x size x size, 10 classes. BadInput if missing or damaged."""
        if self.root:
            root = Path(self.root).expanduser()
        folder = _folder(root or user_cache_path("ganbench") / "data")
        train, train_labels = _part(folder, "train", self.size)
        test, test_labels = _part(folder, "t10k", self.size)
        return Data(train, test, train_labels, test_labels, classes=10)


def _folder(root: Path) -> Path:
    """The folder that holds all four files, after downloading the missing ones if need be."""
    folder = root / "MNIST" / "raw"
    for candidate in (folder, root):
        if all(_find(candidate, name) for name in _FILES):
            return candidate
    missing = [f"{name}.gz" for name in _FILES if not _find(folder, name)]
    try:
        _download(folder, missing)
    except OSError as error:
        reason = (
            f"the files are not there and cannot be downloaded ({error}): place {', '.join(missing)} in "
            f"{folder}, or name another folder of data by the option root or by GANBENCH_DATA"
        )
        raise BadInput(Problem("mnist", reason)) from None
    return folder


def _download(folder: Path, names: list[str]) -> None:
    """From torchvision's mirrors, but with a time limit and safe among processes, which its own is not."""
    from torchvision.datasets import MNIST  # takes a second, so only who downloads pays

    checksums = dict(MNIST.resources)
    for name in names:
        download([mirror + name for mirror in MNIST.mirrors], folder / name, "md5", checksums[name])


def _find(folder: Path, name: str) -> Path | None:
    """The file as it is, or else gzipped."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _part(folder: Path, part: str, size: int) -> tuple[Tensor, Tensor]:
    images_path, labels_path = (
        _find(folder, f"{part}-{what}-ubyte") or folder for what in ("images-idx3", "labels-idx1")
    )
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1).long()
    if tuple(images.shape[1:]) != (_SIDE, _SIDE):
        found = " x ".join(map(str, images.shape[1:]))
        raise BadInput(Problem(str(images_path), f"images of {found} pixels, not {_SIDE} x {_SIDE}"))
    if len(labels) != len(images):
        raise BadInput(Problem(str(labels_path), f"{len(labels):,} labels for {len(images):,} images"))
    if int(labels.max()) > 9:
        raise BadInput(Problem(str(labels_path), f"a label {int(labels.max())}, where 0 to 9 are possible"))
    margin = (size - _SIDE) // 2
    return F.pad(images[:, None], (margin,) * 4), labels
