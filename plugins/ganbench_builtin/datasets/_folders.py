"""Folders of images: which files belong to which part and class, always in the same order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from ganbench import BadInput, Problem, nearest
from ganbench_builtin.datasets._split import held_out

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_PARTS = {"train", "val", "valid", "validation"}


Item = tuple[Path, ...]
"""The files of one sample: an image, or a label map and its image."""


@dataclass(frozen=True)
class Part:
    """Samples that belong together.

    Arguments:
        folder: where they lie.
        items: their files.
        classes: the name of each one's class, or None.
    """

    folder: Path
    items: Sequence[Item]
    classes: Sequence[str] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the classes; a class's place in there is its label."""
        return sorted(set(self.classes or ()))

    def labels(self, names: Sequence[str]) -> Tensor | None:
        """The place of each one's class in `names`, int64; None where there are not two to tell apart."""
        if bool(names) != (self.classes is not None):
            verb = "has" if self.classes else "has no"
            raise BadInput(Problem(str(self.folder), f"{verb} folders of classes, unlike the training part"))
        places = {name: place for place, name in enumerate(names)}
        for name in self.names:
            if name not in places:
                what = f"there is no class {name!r} to train on; {nearest(name, names)}"
                raise BadInput(Problem(str(self.folder / name), what))
        numbers = [places[name] for name in self.classes or ()]
        return torch.tensor(numbers) if class_count(names) else None


def class_count(names: Sequence[str]) -> int:
    """How many classes labels tell apart: none where there is but one."""
    return len(names) if len(names) > 1 else 0


def named_folder(dataset: str, option: str, value: str, root: Path | None) -> Path:
    """The folder that an option names, under `root` where it is relative. BadInput if there is none."""
    if not value:
        raise BadInput(Problem(dataset, f"name a folder of images by the option {option}"))
    folder = (root or Path()) / Path(value).expanduser()
    if not folder.is_dir():
        raise BadInput(Problem(dataset, f"{option} names no folder: {folder}"))
    return folder


def halves(folder: Path, share: float, listed: Callable[[Path], Part]) -> tuple[Part, Part]:
    """What to train on and what is held out: the folders train and test, or else by `share`."""
    below = {path.name for path in folder.glob("[!.]*/")}
    if {"train", "test"} <= below:
        return listed(folder / "train"), listed(folder / "test")
    if "train" in below <= _PARTS:
        what = f"there is train but no test: add it, or name {folder / 'train'}, of which some is held out"
        raise BadInput(Problem(str(folder), what))
    whole = listed(folder)
    return divided(whole, held_out(folder, len(whole.items), share, whole.classes).tolist())


def divided(whole: Part, test: Sequence[bool]) -> tuple[Part, Part]:
    """What is not `test`, and what is."""

    def chosen(wanted: bool) -> Part:
        rows = [row for row, is_test in enumerate(test) if is_test == wanted]
        classes = whole.classes and [whole.classes[row] for row in rows]
        return Part(whole.folder, [whole.items[row] for row in rows], classes)

    return chosen(False), chosen(True)


def by_class(folder: Path) -> Part:
    """Images of a folder; where it has folders, each is a class."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        _unreadable(error)
    folders = [path for path in found if path.is_dir()]
    if not folders:
        return Part(folder, [(path,) for path in images_below(folder)])
    stray = [path.name for path in found if path not in folders and is_image(path)]
    if stray:
        what = f"the image {stray[0]} lies beside folders of classes ({folders[0].name}, …): move it into one"
        raise BadInput(Problem(str(folder), what))
    images = {path.name: images_below(path) for path in folders}
    return Part(
        folder,
        items=[(path,) for paths in images.values() for path in paths],
        classes=[name for name, paths in images.items() for _ in paths],
    )


def images_below(folder: Path) -> list[Path]:
    """All images in there, at any depth, by their relative paths; other and hidden files are passed over."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    images = [path for path in found if is_image(path)]
    if not images:
        known = " ".join(sorted(SUFFIXES))
        what = f"none of its {len(found):,} files is an image ({known})" if found else "the folder is empty"
        raise BadInput(Problem(str(folder), what))
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


def is_image(path: Path) -> bool:
    """Whether it is named like one."""
    return path.suffix.lower() in SUFFIXES


def _unreadable(error: OSError) -> NoReturn:
    raise BadInput(Problem(str(error.filename), f"the folder cannot be read ({error.strerror})")) from None
