"""A folder of images and one of their label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ganbench import BadInput, Data, Dataset, Problem
from ganbench_builtin.datasets._decoded import decoded
from ganbench_builtin.datasets._folders import Part, halves, images_below, named_folder
from ganbench_builtin.datasets._pictures import LabelMap, Pixels


@dataclass(frozen=True)
class MapFolders(Dataset):
    """Images with label maps, for models that paint a map: images/a.jpg belongs to maps/a.png.

    Both are read at any depth; their paths without the last suffix are equal. Each pixel of a map, a grey or
    palette PNG as large as its image, is the number of a class. Of both the central square is scaled to
    size x size, of maps by nearest neighbours. Where the folder holds train and test, these are the parts,
    each with images and maps; else evenly spaced ones are held out. Both are decoded once, and kept as
    image-folder keeps its images.

    Arguments:
        root: the folder; relative to GANBENCH_DATA, where that is set.
        map_classes: number of classes in maps.
        size: pixels a side.
        channels: of images: 3 for colour, 1 for grey.
        held_out: share of the images that is held out, where there is no folder test.
    """

    name = "map-folders"
    places = ("root",)
    root: str = ""
    map_classes: Annotated[int, Field(ge=1, le=256)] = 2
    size: Annotated[int, Field(ge=1, le=1024)] = 32
    channels: Literal[1, 3] = 3
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x channels x size x size, and maps, N x size x size. BadInput if a file is bad."""
        train, test = halves(named_folder(self.name, "root", self.root, root), self.held_out, _pairs)
        return Data(
            train=self._images(train),
            test=self._images(test),
            maps=decoded(train.items, LabelMap(self.size, self.map_classes)),
            test_maps=decoded(test.items, LabelMap(self.size, self.map_classes)),
            map_classes=self.map_classes,
        )

    def _images(self, part: Part) -> Tensor:
        return decoded([(image,) for _, image in part.items], Pixels(self.size, self.channels))


def _pairs(folder: Path) -> Part:
    """(map, image) of each image."""
    images, maps = _by_stem(folder / "images"), _by_stem(folder / "maps")
    for stem in sorted(images.keys() ^ maps.keys()):
        if stem in images:
            raise BadInput(Problem(str(images[stem]), f"the image has no label map in {folder / 'maps'}"))
        raise BadInput(Problem(str(maps[stem]), f"the label map has no image in {folder / 'images'}"))
    return Part(folder, [(maps[stem], images[stem]) for stem in images])


def _by_stem(folder: Path) -> dict[str, Path]:
    """Path without the last suffix, relative to the folder -> path."""
    if not folder.is_dir():
        raise BadInput(
            Problem(str(folder), "there is no such folder: images and maps are expected side by side")
        )
    found: dict[str, Path] = {}
    for path in images_below(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise BadInput(Problem(str(path), f"has the name of {found[stem].name}, but for the suffix"))
        found[stem] = path
    return found
