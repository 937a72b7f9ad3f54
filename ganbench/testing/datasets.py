"""Checks of data sets: the same data every time, of shapes that belong together."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.engine.data import digest
from ganbench.errors import BadInput
from ganbench.machine.folders import data_root
from ganbench.testing.case import Case
from ganbench.testing.findings import NotTried, Unmet, check, describe_error
from ganbench.testing.untouched import generators_untouched, offline


@check("dataset")
def says_what_it_lacks(case: Case) -> None:
    """Without its files and without a network, it raises BadInput with one sentence.

    Fix: raise ganbench.BadInput with a sentence that names the missing file and where it belongs.
    """
    dataset = case.component
    with tempfile.TemporaryDirectory() as empty, offline():
        # both: GANBENCH_DATA may be unset, or lead to a folder without the files
        for root in (Path(empty), None):
            try:
                dataset.load(root)
            except BadInput:
                pass
            except Exception as error:
                where = "without a folder of data" if root is None else "in an empty folder"
                raise Unmet(f"{where} it raised {describe_error(error, case.cls)}") from None


@check("dataset")
def loads_the_same_again(case: Case) -> None:
    """Loaded twice, it is the same data, bit for bit; global generators are left alone.

    Fix: shuffle and draw by a generator of your own: torch.Generator().manual_seed(0).
    """
    with generators_untouched():
        first, again = _loaded(case), _loaded(case)
    if digest(first) != digest(again):
        raise Unmet("loaded twice, the data differ")


@check("dataset")
def its_samples_are_sound(case: Case) -> None:
    """Training and held-out samples have one shape and type, are not empty, and are finite.

    Fix: give N x shape, uint8 in 0..255 or floating, the held-out part alike.
    """
    data = _loaded(case)
    pairs = [("train", data.train, data.test)]
    if data.source is not None or data.test_source is not None:
        # either alone is enough: a missing half is reported below as no tensor
        pairs.append(("source", data.source, data.test_source))  # type: ignore[arg-type]
    for name, train, test in pairs:
        if not isinstance(train, Tensor) or not isinstance(test, Tensor):
            raise Unmet(f"{name} or its held-out part is no tensor")
        if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
            raise Unmet(f"{name} is {_brief(train)}, the held-out part {_brief(test)}")
        if not len(train) or not len(test):
            raise Unmet(f"{name} has {len(train)} samples and {len(test)} held-out ones")
        # uint8 is read as an image; other integers have no scale that the core knows
        if train.dtype != torch.uint8 and not train.is_floating_point():
            raise Unmet(f"{name} is {_brief(train)}")
        if train.is_floating_point() and not (train.isfinite().all() and test.isfinite().all()):
            raise Unmet(f"a number in {name} is not finite")


@check("dataset")
def its_labels_are_sound(case: Case) -> None:
    """There is a label, and a map, for each sample, and none beyond the number of classes.

    Fix: int64 labels, one a sample, each below `classes`; uint8 maps, each pixel below `map_classes`.
    """
    data = _loaded(case)
    for name, labels, samples, classes in _tables(data):
        if labels is None:
            continue
        if samples is None or len(labels) != len(samples):
            raise Unmet(f"{name} has {len(labels)} rows for {0 if samples is None else len(samples)} samples")
        if labels.is_floating_point() or (labels.dim() == 1 and labels.dtype != torch.int64):
            raise Unmet(f"{name} is {_brief(labels)}")
        if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise Unmet(f"{name} goes from {int(labels.min())} to {int(labels.max())}, of {classes} classes")


def _tables(data: Data) -> list[tuple[str, Tensor | None, Tensor | None, int]]:
    """(name, labels or maps, what they belong to, number of classes)."""
    return [
        ("train_labels", data.train_labels, data.train, data.classes),
        ("test_labels", data.test_labels, data.test, data.classes),
        ("source_labels", data.source_labels, data.source, data.classes),
        ("test_source_labels", data.test_source_labels, data.test_source, data.classes),
        ("maps", data.maps, data.train, data.map_classes),
        ("test_maps", data.test_maps, data.test, data.map_classes),
    ]


def _loaded(case: Case) -> Data:
    try:
        data = case.component.load(data_root())
    except BadInput as error:
        raise NotTried(f"its files are not here: {error}") from None
    if not isinstance(data, Data):
        raise Unmet(f"`load` gave {type(data).__name__}", "return ganbench.Data(train=…, test=…)")
    return data


def _brief(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {' x '.join(map(str, tensor.shape))}"
