"""The tables of a data set that training and evaluation read, and batches of their rows."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.game import Batch

INDICES = ("index", "source_index")
"""Roles of a turn that name rows: of the data and what belongs to it, and of the source domain."""


def index_of(table: str) -> str:
    """Which of INDICES names rows of the table."""
    return INDICES[table.startswith("source")]


def training_tables(data: Data) -> dict[str, Tensor]:
    """ "data" and, where there are any, "labels", "map", "source", "source_labels"."""
    tables = {
        "data": data.train,
        "labels": data.train_labels,
        "map": data.maps,
        "source": data.source,
        "source_labels": data.source_labels,
    }
    return {name: table for name, table in tables.items() if table is not None}


def held_out_tables(data: Data) -> dict[str, Tensor]:
    """The same names, of the held-out parts."""
    tables = {
        "data": data.test,
        "labels": data.test_labels,
        "map": data.test_maps,
        "source": data.test_source,
        "source_labels": data.test_source_labels,
    }
    return {name: table for name, table in tables.items() if table is not None}


def floating(batch: Batch, dtype: torch.dtype) -> dict[str, Tensor]:
    """The batch with its samples in the range of the data."""
    samples = {name: as_float(batch[name], dtype) for name in ("data", "source") if name in batch}
    return {**batch, **samples}


def as_float(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """Samples in the range of the data: bytes as x / 127.5 - 1, the rest as they are."""
    return samples.to(dtype) / 127.5 - 1 if samples.dtype == torch.uint8 else samples.to(dtype)
