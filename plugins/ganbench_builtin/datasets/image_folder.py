"""A folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ganbench import Data, Dataset
from ganbench_builtin.datasets._decoded import decoded
from ganbench_builtin.datasets._folders import by_class, class_count, halves, named_folder
from ganbench_builtin.datasets._pictures import Pixels


@dataclass(frozen=True)
class ImageFolder(Dataset):
    """Images of a folder, of any size: the central square of each, scaled to size x size.

    Folders inside are classes, in the order of their names, and their images are found at any depth; without
    folders, or with a single one, there are no labels. Where the folder holds train and test, these are the
    parts, each of that form; else some images, evenly spaced in the order of their names, are held out, of
    each class its share. Hidden files, and those not named as images, are passed over. Pixels are taken as
    they are stored, whatever EXIF says of turning them; transparent ones are shown on white.

    The images are decoded once and kept as arrays in GANBENCH_CACHE, or the user's cache folder, from which
    they are read as they are needed: there may be more than fits in memory.

    Arguments:
        root: the folder; relative to GANBENCH_DATA, where that is set.
        size: pixels a side.
        channels: 3 for colour, 1 for grey.
        held_out: share of the images that is held out, where there is no folder test.
    """

    name = "image-folder"
    places = ("root",)
    root: str = ""
    size: Annotated[int, Field(ge=1, le=1024)] = 32
    channels: Literal[1, 3] = 3
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x channels x size x size. BadInput, naming the file, if one cannot be used."""
        folder = named_folder(self.name, "root", self.root, root)
        train, test = halves(folder, self.held_out, by_class)
        pixels = Pixels(self.size, self.channels)
        return Data(
            train=decoded(train.items, pixels),
            test=decoded(test.items, pixels),
            train_labels=train.labels(train.names),
            test_labels=test.labels(train.names),
            classes=class_count(train.names),
        )
