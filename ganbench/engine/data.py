"""Data sets on this machine: where files lie, loading once a process, and what identifies the content."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.components.instances import Create
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.atomic import write_atomic
from ganbench.storage.records import ComponentEntry

RESIDENT_SHARE = 0.3
"""Of a GPU's memory, what one table of data may take; larger ones are streamed from the host."""

_BLOCK = 2**24  # bytes hashed at a time: a table may be a file that does not fit in memory


def data_root() -> Path | None:
    """Where data files may lie: the folder that GANBENCH_DATA names, if it is set."""
    named = os.environ.get("GANBENCH_DATA")
    return Path(named) if named else None


class Sources:
    """Loads each data set once, and computes its digest.

    Arguments:
        create: how components are made.
    """

    def __init__(self, catalogue: Catalogue, create: Create = create) -> None:
        self._catalogue, self._create = catalogue, create
        self._loaded: dict[str, Data] = {}

    def load(self, entry: ComponentEntry) -> Data:
        """The data of {"name", "options"}, on the CPU."""
        # Sorted, because the order of options does not change the data. repr, because lists cannot be hashed.
        key = repr((entry["name"], sorted(entry["options"].items())))
        if key not in self._loaded:
            cls: Any = self._catalogue.get("dataset", entry["name"]).cls
            self._loaded[key] = self._create(cls, entry["options"], entry["name"]).load(data_root())
        return self._loaded[key]

    def digest(self, entry: ComponentEntry) -> str:
        """SHA-256 of everything in the data."""
        return digest(self.load(entry))


def digest(data: Data) -> str:
    """SHA-256 of everything in the data: types, shapes and values."""
    hasher = hashlib.sha256()  # names, types and shapes too: the same bytes may be another table
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, Tensor):
            hasher.update(f"{field.name} {value.dtype} {tuple(value.shape)}\n".encode())
            # In blocks, because `tobytes` copies. A row may exceed a block, and an empty table has none.
            for rows in torch.split(value, max(1, _BLOCK // max(1, value[:1].nbytes))):
                hasher.update(rows.cpu().contiguous().numpy().tobytes())
        else:
            hasher.update(f"{field.name} {value!r}\n".encode())
    return hasher.hexdigest()


def on_device(data: Data, device: torch.device) -> Data:
    """The same data on another device; what training reads stays behind where it would not fit."""
    tensors: dict[str, Any] = {
        field.name: value.to(device)
        for field in dataclasses.fields(data)
        if isinstance(value := getattr(data, field.name), Tensor)
        # Only these may stay on the host: the trainer can stream their rows.
        and not (field.name in ("train", "maps", "source") and value.nbytes > _room(device))
    }
    return dataclasses.replace(data, **tensors)


def _room(device: torch.device) -> float:
    """Bytes of a device that one table may take. On a CPU whatever it takes lies there already."""
    if device.type != "cuda":
        return math.inf
    # Total memory, not free memory: the choice must not depend on what else runs on the GPU at the moment.
    return float(RESIDENT_SHARE * torch.cuda.mem_get_info(device)[1])


_VERSION = 1
"""Of which samples are taken, and in what order: count up when that changes."""


def cached(folder: Path, data: str, extractor: str, n: int, compute: Callable[[], Tensor]) -> Tensor:
    """The features, n x d, from `folder`, or else computed and kept there.

    A file that cannot be read is made anew; where none can be written, nothing is kept.

    Arguments:
        data, extractor: digests of what the features depend on.
    """
    identity = hashlib.sha256(f"{_VERSION}/{data}/{extractor}/{n}".encode()).hexdigest()
    # 128 bits: no collisions in practice, and a path that is short enough for Windows (260 characters).
    path = folder / f"{identity[:32]}.safetensors"
    # Absent, cut short, or of another layout: in each case the features are computed.
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        return load_file(path)["features"]
    features = compute()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"features": features.contiguous()}
        write_atomic(path, lambda temporary: save_file(tensors, temporary))
    return features
