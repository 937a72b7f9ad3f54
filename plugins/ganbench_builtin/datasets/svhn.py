"""SVHN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganbench import Data, Dataset
from ganbench_builtin.datasets._files import Remote, damaged, data_folder, fetch
from ganbench_builtin.datasets._labels import check_labels

_CLASSES = 10


@dataclass(frozen=True)
class Svhn(Dataset):
    """SVHN: 73,257 and 26,032 house numbers' digits, 32 x 32, in colour (Netzer et al. 2011, NIPS workshop).

    train_32x32.mat and test_32x32.mat are looked for in the folder of data, as torchvision lays them out, and
    in SVHN under it. Missing ones are downloaded (246 MB). A zero, 10 in the files, has the label 0.

    Arguments:
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "svhn"
    places = ("root",)
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 3 x 32 x 32, 10 classes. BadInput if missing or damaged."""
        folder = data_folder(self.root, root)
        paths = {part: _find(folder, part) for part in ("train", "test")}
        missing = [part for part, path in paths.items() if not path.is_file()]
        if missing:
            fetch(self.name, folder, _remotes(missing))
        train, train_labels = _read(paths["train"])
        test, test_labels = _read(paths["test"])
        return Data(train, test, train_labels, test_labels, classes=_CLASSES)


def _find(folder: Path, part: str) -> Path:
    """Where the file of a part lies, or else where it is to be."""
    path, other = folder / f"{part}_32x32.mat", folder / "SVHN" / f"{part}_32x32.mat"
    return other if other.is_file() and not path.is_file() else path


def _remotes(parts: list[str]) -> list[Remote]:
    from torchvision.datasets import SVHN  # takes a second, so only who downloads pays

    return [Remote(name, (url,), md5) for part in parts for url, name, md5 in [SVHN.split_list[part]]]


def _read(path: Path) -> tuple[Tensor, Tensor]:
    from scipy.io import loadmat  # as above

    try:
        found = loadmat(path, variable_names=["X", "y"])
        images, labels = found["X"], found["y"]
    except KeyError as error:
        raise damaged(path, f"it holds no {error}") from None
    except Exception as error:  # of its many ways to stumble over damage, few are documented
        raise damaged(path, error) from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (32, 32, 3) or not images.size:
        shape = " x ".join(map(str, images.shape))
        raise damaged(path, f"X is {images.dtype} of {shape}, not uint8 of 32 x 32 x 3 x N")
    if not np.issubdtype(labels.dtype, np.integer):
        raise damaged(path, f"y is {labels.dtype}, where labels are whole numbers")
    digits = torch.from_numpy(labels.astype(np.int64).ravel())
    digits = torch.where(digits == _CLASSES, 0, digits)
    check_labels(path, digits, images.shape[3], _CLASSES)
    return torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1))), digits
