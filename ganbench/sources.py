"""Data sets on this machine: where files lie, loading once a process, and what identifies the content."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor

from ganbench.components import Data, create
from ganbench.plugins import Catalogue


def data_root() -> Path | None:
    """Where data files may lie: the folder that GANBENCH_DATA names, if it is set."""
    named = os.environ.get("GANBENCH_DATA")
    return Path(named) if named else None


def cache_root() -> Path:
    """Where what was computed once is kept: the folder that GANBENCH_CACHE names, or the user's cache."""
    named = os.environ.get("GANBENCH_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("ganbench")


class Sources:
    """Loads each data set once, and tells its digest."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._loaded: dict[str, Data] = {}

    def load(self, entry: Mapping[str, Any]) -> Data:
        """The data of {"name", "options"}, on the CPU."""
        key = repr((entry["name"], sorted(entry["options"].items())))
        if key not in self._loaded:
            cls = self._catalogue.get("dataset", entry["name"]).cls
            self._loaded[key] = create(cls, entry["options"], entry["name"]).load(data_root())
        return self._loaded[key]

    def digest(self, entry: Mapping[str, Any]) -> str:
        """SHA-256 of everything in the data."""
        return digest(self.load(entry))


def digest(data: Data) -> str:
    """SHA-256 of everything in the data: types, shapes and values."""
    hasher = hashlib.sha256()
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if isinstance(value, Tensor):
            hasher.update(f"{field.name} {value.dtype} {tuple(value.shape)}\n".encode())
            hasher.update(value.cpu().contiguous().numpy().tobytes())
        else:
            hasher.update(f"{field.name} {value!r}\n".encode())
    return hasher.hexdigest()


def on_device(data: Data, device: torch.device) -> Data:
    """The same data on another device."""
    tensors: dict[str, Any] = {
        field.name: value.to(device)
        for field in dataclasses.fields(data)
        if isinstance(value := getattr(data, field.name), Tensor)
    }
    return dataclasses.replace(data, **tensors)
