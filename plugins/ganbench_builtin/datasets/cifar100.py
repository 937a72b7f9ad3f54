"""CIFAR-100."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ganbench import Data, Dataset
from ganbench_builtin.datasets._cifar import Version, cifar, pickled, records
from ganbench_builtin.datasets._files import Remote, data_folder

_ARCHIVE = "cifar-100-binary.tar.gz"
_REMOTE = Remote(
    name=_ARCHIVE,
    urls=(f"https://www.cs.toronto.edu/~kriz/{_ARCHIVE}",),
    md5="03b5dce01913d631647c71ecec9e9cb8",
)
_CLASSES = {"coarse": 20, "fine": 100}  # in the order of an image's two labels


@dataclass(frozen=True)
class Cifar100(Dataset):
    """CIFAR-100: 50,000 and 10,000 photographs, 32 x 32, of 100 things (Krizhevsky 2009, technical report).

    The binary version is looked for in the folder of data, unpacked (cifar-100-binary) or as
    cifar-100-binary.tar.gz; after it the Python version, as torchvision leaves it, of which nothing is run.
    Where there is neither, the binary version is downloaded (169 MB).

    Arguments:
        labels: the 100 fine classes, or the 20 coarse ones that they belong to.
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "cifar-100"
    places = ("root",)
    labels: Literal["fine", "coarse"] = "fine"
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 3 x 32 x 32, 100 or 20 classes. BadInput if missing or damaged."""
        binary = Version(
            archive=_ARCHIVE,
            folder="cifar-100-binary",
            train=("train.bin",),
            test="test.bin",
            parse=partial(records, heads=2, label=list(_CLASSES).index(self.labels)),
        )
        python = Version(
            archive="cifar-100-python.tar.gz",
            folder="cifar-100-python",
            train=("train",),
            test="test",
            parse=partial(pickled, labels=f"{self.labels}_labels"),
        )
        folder = data_folder(self.root, root)
        return cifar(self.name, folder, (binary, python), _REMOTE, classes=_CLASSES[self.labels])
