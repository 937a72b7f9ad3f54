"""Data sets: what they hold, and what a model may know of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# for annotations only: commands that train nothing start without torch
if TYPE_CHECKING:
    from torch import Tensor

from ganbench.components.base import Component


@dataclass(frozen=True)
class DataSpec:
    """What a model may know of its data.

    Arguments:
        shape: of one sample.
        classes: number of classes, 0 where unlabelled.
        map_classes: number of classes in label maps, 0 where there are none.
        source: shape of one sample of the source domain, None where there is none.
    """

    shape: tuple[int, ...]
    classes: int = 0
    map_classes: int = 0
    source: tuple[int, ...] | None = None

    @property
    def numel(self) -> int:
        """How many numbers one sample has."""
        # 1 for a scalar, whose shape is empty
        total = 1
        for extent in self.shape:
            total *= extent
        return total


# == of tensors gives a tensor, which has no single truth value
@dataclass(frozen=True, eq=False)
class Data:
    """A data set in memory.

    Arguments:
        train: N x shape. uint8 (images; read as x / 127.5 - 1) or floating (points, as they are).
        test: the held-out part, like `train`.
        train_labels, test_labels: int64 vectors, or None.
        classes: number of classes, 0 where unlabelled.
        modes: K x d centres of a mixture, or None.
        sigma: standard deviation of each mode, or None.
        maps, test_maps: label maps of train and test, N x H x W, uint8: each pixel's class; or None.
        map_classes: number of classes in maps.
        source, test_source: samples of another domain, which a translation starts from; their number and
            order have nothing to do with those of train, the domain that it imitates. Or None.
        source_labels, test_source_labels: int64 vectors, or None.
    """

    train: Tensor
    test: Tensor
    train_labels: Tensor | None = None
    test_labels: Tensor | None = None
    classes: int = 0
    modes: Tensor | None = None
    sigma: float | None = None
    maps: Tensor | None = None
    test_maps: Tensor | None = None
    map_classes: int = 0
    source: Tensor | None = None
    test_source: Tensor | None = None
    source_labels: Tensor | None = None
    test_source_labels: Tensor | None = None

    @property
    def spec(self) -> DataSpec:
        """What a model may know of it."""
        source = None if self.source is None else tuple(self.source.shape[1:])
        return DataSpec(tuple(self.train.shape[1:]), self.classes, self.map_classes, source)


class Dataset(Component):
    """A source of data: files, a download or a formula."""

    kind = "dataset"

    @abstractmethod
    def load(self, root: Path | None) -> Data:
        """The data. `root` is where files may lie (GANBENCH_DATA); raise BadInput if they are missing."""
