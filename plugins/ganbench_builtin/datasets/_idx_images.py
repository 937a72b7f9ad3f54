"""Data sets in the files of MNIST: 28 x 28 grey pixels, ten classes, four idx files."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from ganbench import BadInput, Data, Problem
from ganbench_builtin.datasets._files import Remote, fetch
from ganbench_builtin.datasets._idx import read_idx
from ganbench_builtin.datasets._labels import check_labels

_SIDE, _CLASSES = 28, 10
_FILES = tuple(
    f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)


def idx_images(name: str, original: str, root: Path, size: int) -> Data:
    """uint8 images, N x 1 x size x size, 10 classes. BadInput if files are missing or damaged.

    Arguments:
        name: of the data set.
        original: what torchvision calls it, and its folder under `root`.
        size: 28, or more with a margin of black pixels.
    """
    folder = _folder(name, original, root)
    train, train_labels = _part(folder, "train", size)
    test, test_labels = _part(folder, "t10k", size)
    return Data(train, test, train_labels, test_labels, classes=_CLASSES)


def _folder(name: str, original: str, root: Path) -> Path:
    """The folder that holds all four files, after downloading the missing ones if need be."""
    folder = root / original / "raw"
    for candidate in (folder, root):
        if all(_find(candidate, file) for file in _FILES):
            return candidate
    missing = [f"{file}.gz" for file in _FILES if not _find(folder, file)]
    fetch(name, folder, _remotes(original, missing))
    return folder


def _remotes(original: str, names: list[str]) -> list[Remote]:
    """At torchvision's mirrors, but not by its downloads: they wait for ever and overwrite each other."""
    from torchvision import datasets  # takes a second, so only who downloads pays

    known = getattr(datasets, original)
    checksums = dict(known.resources)
    return [Remote(name, tuple(mirror + name for mirror in known.mirrors), checksums[name]) for name in names]


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
    check_labels(labels_path, labels, len(images), _CLASSES)
    margin = (size - _SIDE) // 2
    return F.pad(images[:, None], (margin,) * 4), labels
