"""Two folders of images as two domains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ganbench import BadInput, Data, Dataset, Problem
from ganbench_builtin.datasets._decoded import decoded
from ganbench_builtin.datasets._folders import Part, by_class, class_count, halves, named_folder
from ganbench_builtin.datasets._pictures import Pixels


@dataclass(frozen=True)
class UnpairedFolders(Dataset):
    """Two folders of images as unpaired domains, for models that translate one into the other.

    Each folder is read as image-folder reads its root. A domain's held-out images are its folder of tests, or
    else those of test inside of it, or else a share. Where both domains have classes, these are the same.

    Arguments:
        source: the folder of the images to translate; relative to GANBENCH_DATA, where that is set.
        target: the folder of what translations are to look like.
        test_source, test_target: folders of their held-out images, such as testA and testB beside trainA and
            trainB; empty if there are none.
        size: pixels a side.
        channels: 3 for colour, 1 for grey.
        held_out: share of the images that is held out, where there is no folder of tests.
    """

    name = "unpaired-folders"
    places = ("source", "target", "test_source", "test_target")
    source: str = ""
    target: str = ""
    test_source: str = ""
    test_target: str = ""
    size: Annotated[int, Field(ge=1, le=1024)] = 32
    channels: Literal[1, 3] = 3
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x channels x size x size; `train` is the target. BadInput if a file is bad."""
        source, test_source = self._domain("source", root)
        target, test_target = self._domain("target", root)
        names, source_names = target.names, source.names
        if len(names) > 1 and len(source_names) > 1 and names != source_names:
            differing = ", ".join(sorted(set(names) ^ set(source_names)))
            raise BadInput(Problem(self.name, f"only one of source and target has the classes {differing}"))
        pixels = Pixels(self.size, self.channels)
        return Data(
            train=decoded(target.items, pixels),
            test=decoded(test_target.items, pixels),
            train_labels=target.labels(names),
            test_labels=test_target.labels(names),
            classes=class_count(names),
            source=decoded(source.items, pixels),
            test_source=decoded(test_source.items, pixels),
            source_labels=source.labels(source_names),
            test_source_labels=test_source.labels(source_names),
        )

    def _domain(self, option: str, root: Path | None) -> tuple[Part, Part]:
        """To train on, and held out."""
        folder = named_folder(self.name, option, getattr(self, option), root)
        test = getattr(self, f"test_{option}")
        if not test:
            return halves(folder, self.held_out, by_class)
        return by_class(folder), by_class(named_folder(self.name, f"test_{option}", test, root))
