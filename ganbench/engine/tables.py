"""The tables of a data set that training and evaluation read, and batches of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.game import Batch


@dataclass(frozen=True)
class RowOrder:
    """An order of rows that some tables share. Names and key are part of random streams: changing one changes
    results.

    Arguments:
        index: what the row numbers are called in a turn's draws.
        stream: the stream that shuffles the rows in training.
        key: of the stream that picks held-out rows.
    """

    index: str
    stream: str
    key: int


DATA = RowOrder("index", "order", 0)
SOURCE = RowOrder("source_index", "source-order", 1)
"""Of the domain that a translation starts from: its rows have nothing to do with those of the data."""
INDICES = frozenset({DATA.index, SOURCE.index})


@dataclass(frozen=True)
class Table:
    """One of a data set's tables.

    Arguments:
        name: in a batch.
        order: which order its rows follow.
        train, test: the fields of `Data` that hold its two parts.
        samples: whether its rows are samples, which a batch holds as floats in the range of the data.
    """

    name: str
    order: RowOrder
    train: str
    test: str
    samples: bool = False


TABLES = (
    Table("data", DATA, "train", "test", samples=True),
    Table("labels", DATA, "train_labels", "test_labels"),
    Table("map", DATA, "maps", "test_maps"),
    Table("source", SOURCE, "source", "test_source", samples=True),
    Table("source_labels", SOURCE, "source_labels", "test_source_labels"),
)
_ORDERS = {table.name: table.order for table in TABLES}
_SAMPLES = tuple(table.name for table in TABLES if table.samples)


def order_of(name: str) -> RowOrder:
    """The order that the rows of the table of that name follow."""
    return _ORDERS[name]


def training_tables(data: Data) -> dict[str, Tensor]:
    """The training part of every table that the data have, by name."""
    return _present({table.name: getattr(data, table.train) for table in TABLES})


def held_out_tables(data: Data) -> dict[str, Tensor]:
    """The held-out part of every table that the data have, by name."""
    return _present({table.name: getattr(data, table.test) for table in TABLES})


def _present(tables: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: table for name, table in tables.items() if table is not None}


def sizes(tables: Mapping[str, Tensor]) -> dict[RowOrder, int]:
    """Rows of the tables of each order."""
    return {order_of(name): len(table) for name, table in tables.items()}


def picked(tables: Mapping[str, Tensor], rows: Mapping[RowOrder, Tensor]) -> dict[str, Tensor]:
    """The rows of those numbers, of each table on its own device: one that does not fit stays on the CPU."""
    return {name: table[rows[order_of(name)].to(table.device)] for name, table in tables.items()}


def batch_of(raw: Batch, tables: Batch, step: Tensor, dtype: torch.dtype) -> Batch:
    """A turn's batch: its draws, the step, and the rows of `tables` that its indices name."""
    batch = {name: tensor for name, tensor in raw.items() if name not in INDICES}
    for name, table in tables.items():
        batch[name] = table.index_select(0, raw[_ORDERS[name].index])
    return floating(batch, dtype) | {"step": step.to(dtype)}


def floating(batch: Batch, dtype: torch.dtype) -> dict[str, Tensor]:
    """The batch with its samples in the range of the data."""
    samples = {name: as_float(batch[name], dtype) for name in _SAMPLES if name in batch}
    return {**batch, **samples}


def as_float(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """Samples in the range of the data: bytes as x / 127.5 - 1, the rest as they are."""
    return samples.to(dtype) / 127.5 - 1 if samples.dtype == torch.uint8 else samples.to(dtype)
