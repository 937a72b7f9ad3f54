"""Arrays in a file."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ganbench import BadInput, Data, Dataset, Problem
from ganbench_builtin.datasets._labels import check_labels
from ganbench_builtin.datasets._split import held_out
from ganbench_builtin.datasets._tables import Table, read_tables

_CHANNELS = (1, 3)
_MOST_CLASSES = 100_000  # a larger label is no class, but a hash or a time


@dataclass(frozen=True)
class Arrays(Dataset):
    """Points or images in an .npz file, as numpy.savez writes it, or points in a .parquet file.

    An .npz file holds train and, if wanted, train_labels, test and test_labels (or x and y, or x_train,
    y_train, x_test and y_test). A vector or matrix holds points, a row each. uint8 arrays of N x H x W,
    N x H x W x C or N x C x H x W are images, where C is 1 or 3. Each row of a parquet file is a point, each
    column a coordinate, or the label. Where there is no test, evenly spaced rows are held out, of each class
    its share.

    Arguments:
        file: the file; relative to GANBENCH_DATA, where that is set.
        label: the column of labels in a parquet file; empty for "label", if there is such a column.
        classes: number of classes; 0 for one more than the largest label.
        held_out: share of the rows that is held out, where the file has no test.
    """

    name = "arrays"
    places = ("file",)
    file: str = ""
    label: str = ""
    classes: Annotated[int, Field(ge=0, le=_MOST_CLASSES)] = 0
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def load(self, root: Path | None) -> Data:
        """float32 points, N x d, or uint8 images, N x C x H x W. BadInput if the file cannot be used."""
        if not self.file:
            raise BadInput(Problem(self.name, "name an .npz or .parquet file by the option file"))
        path = (root or Path()) / Path(self.file).expanduser()
        tables = read_tables(path, self.label)
        _check_parts(path, tables.keys())
        parts: list[str] = [part for part in ("train", "test") if part in tables]
        samples = {part: _samples(tables[part]) for part in parts}
        labels = {part: _labels(tables[f"{part}_labels"]) for part in parts if f"{part}_labels" in tables}
        classes = self._classes(path, labels)
        for part, numbers in labels.items():
            check_labels(tables[f"{part}_labels"].where, numbers, len(samples[part]), classes)
        if "test" not in samples:
            samples, labels = self._divided(path, samples["train"], labels.get("train"))
        elif samples["test"].shape[1:] != samples["train"].shape[1:]:
            shapes = f"{_shape_text(samples['test'][0])}, in training {_shape_text(samples['train'][0])}"
            raise BadInput(Problem(tables["test"].where, f"one sample is of {shapes}"))
        return Data(samples["train"], samples["test"], labels.get("train"), labels.get("test"), classes)

    def _classes(self, path: Path, labels: Mapping[str, Tensor]) -> int:
        if self.classes and not labels:
            raise BadInput(Problem(str(path), f"classes = {self.classes}, but there are no labels in it"))
        if not labels:
            return 0
        classes = self.classes or max(1, *(int(numbers.max()) + 1 for numbers in labels.values()))
        if classes > _MOST_CLASSES:
            what = f"a label {classes - 1}, where 0 to {_MOST_CLASSES - 1} are possible"
            raise BadInput(Problem(str(path), what))
        return classes

    def _divided(
        self, path: Path, samples: Tensor, labels: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        known = None if labels is None else labels.tolist()
        test = torch.from_numpy(held_out(path, len(samples), self.held_out, known))
        parts = {"train": ~test, "test": test}
        return (
            {name: samples[rows] for name, rows in parts.items()},
            {} if labels is None else {name: labels[rows] for name, rows in parts.items()},
        )


def _check_parts(path: Path, present: Set[str]) -> None:
    """BadInput where a part is absent that the others need."""
    parts = ["train", "test"] if present & {"test", "test_labels"} else ["train"]
    labelled = bool(present & {"train_labels", "test_labels"})
    needed = [*parts, *(f"{part}_labels" for part in parts if labelled)]
    absent = [part for part in needed if part not in present]
    if absent:
        what = f"there is no {' and no '.join(absent)} in it, but {', '.join(sorted(present)) or 'nothing'}"
        raise BadInput(Problem(str(path), what))


def _samples(table: Table) -> Tensor:
    where, array = table
    if not array.size:
        raise BadInput(Problem(where, "is empty"))
    if array.ndim not in (1, 2, 3, 4) or array.dtype.kind not in "iuf":
        shape = _shape_text(array)
        what = f"holds {array.dtype} of {shape}: points are a matrix of numbers, images N x H x W (x C)"
        raise BadInput(Problem(where, what))
    return _points(where, array) if array.ndim < 3 else _images(where, array)


def _points(where: str, array: np.ndarray) -> Tensor:
    """N x d, float32; a vector is N points on a line."""
    with np.errstate(over="ignore"):
        points = array.reshape(len(array), -1).astype(np.float32)
    wrong = np.argwhere(~np.isfinite(points))
    if len(wrong):
        row, column = wrong[0]
        value = array.reshape(points.shape)[row, column]
        raise BadInput(Problem(where, f"row {row} holds {value}, which is no float32 number"))
    return torch.from_numpy(points)


def _images(where: str, array: np.ndarray) -> Tensor:
    """N x C x H x W, uint8."""
    if array.dtype != np.uint8:
        what = f"holds {array.dtype} of {_shape_text(array)}: images are uint8, 0 to 255"
        raise BadInput(Problem(where, what))
    if array.ndim == 3:
        array = array[:, None]
    elif (first := array.shape[1] in _CHANNELS) == (array.shape[3] in _CHANNELS):
        which = "both the second and the last" if first else "neither the second nor the last"
        what = f"of {_shape_text(array)}, {which} extent can be that of channels, 1 or 3"
        raise BadInput(Problem(where, what))
    elif not first:
        array = array.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(array))


def _labels(table: Table) -> Tensor:
    """int64; whole numbers may be written as floats, and as a matrix of one column."""
    where, array = table
    if array.dtype.kind not in "biuf" or array.size != max(array.shape, default=0) or not array.size:
        what = f"holds {array.dtype} of {_shape_text(array)}: labels are a vector of whole numbers"
        raise BadInput(Problem(where, what))
    array = array.ravel()
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.int64)
    wrong = np.flatnonzero(labels != array)
    if len(wrong):
        raise BadInput(Problem(where, f"row {wrong[0]} holds {array[wrong[0]]}, which is no whole number"))
    return torch.from_numpy(labels)


def _shape_text(array: np.ndarray | Tensor) -> str:
    return "shape " + " x ".join(map(str, array.shape)) if array.ndim else "no shape"
