"""CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ganbench import Data, Dataset
from ganbench_builtin.datasets._cifar import Version, cifar, pickled, records
from ganbench_builtin.datasets._files import Remote, data_folder

_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_BINARY = Version(
    archive="cifar-10-binary.tar.gz",
    folder="cifar-10-batches-bin",
    train=tuple(f"{batch}.bin" for batch in _BATCHES),
    test="test_batch.bin",
    parse=partial(records, heads=1, label=0),
)
_PYTHON = Version(
    archive="cifar-10-python.tar.gz",
    folder="cifar-10-batches-py",
    train=_BATCHES,
    test="test_batch",
    parse=partial(pickled, labels="labels"),
)
_REMOTE = Remote(
    name=_BINARY.archive,
    urls=(f"https://www.cs.toronto.edu/~kriz/{_BINARY.archive}",),
    md5="c32a1d4ab5d03f1284b67883e8d87530",
)


@dataclass(frozen=True)
class Cifar10(Dataset):
    """CIFAR-10: 50,000 and 10,000 photographs, 32 x 32, of ten things (Krizhevsky 2009, technical report).

    The binary version is looked for in the folder of data, unpacked (cifar-10-batches-bin) or as
    cifar-10-binary.tar.gz; after it the Python version, as torchvision leaves it, of which nothing is run.
    Where there is neither, the binary version is downloaded (170 MB).

    Arguments:
        root: the folder of data; empty for GANBENCH_DATA, or else the user's cache folder.
    """

    name = "cifar-10"
    places = ("root",)
    root: str = ""

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 3 x 32 x 32, 10 classes. BadInput if missing or damaged."""
        return cifar(self.name, data_folder(self.root, root), (_BINARY, _PYTHON), _REMOTE, classes=10)
