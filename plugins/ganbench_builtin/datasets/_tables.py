"""Arrays in a file: .npz, which may hold a train and a test part, and .parquet. Nothing in them is run."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganbench import BadInput, Problem, nearest

_PARTS = {
    "train": "train",
    "train_labels": "train_labels",
    "test": "test",
    "test_labels": "test_labels",
    "x": "train",
    "y": "train_labels",
    "x_train": "train",
    "y_train": "train_labels",
    "x_test": "test",
    "y_test": "test_labels",
}
"""What an array of an .npz file is, by its name."""


class Table(NamedTuple):
    """An array, and where it is from, in words."""

    where: str
    array: np.ndarray


def read_tables(path: Path, label: str) -> dict[str, Table]:
    """ "train" and, where the file has them, "train_labels", "test", "test_labels". BadInput if it is bad.

    Arguments:
        label: the column of labels in a parquet file; empty for "label", if there is such a column.
    """
    if not path.is_file():
        raise BadInput(Problem(str(path), "there is no such file"))
    return _parquet(path, label) if path.suffix.lower() == ".parquet" else _npz(path)


def _npz(path: Path) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for name, array in _arrays(path).items():
        part = _PARTS.get(name)
        if part is None:
            what = f"no part is called {name!r}; {nearest(name, _PARTS, limit=len(_PARTS))}"
            raise BadInput(Problem(str(path), what))
        if part in tables:
            raise BadInput(Problem(str(path), f"{name!r} and another array are both the part {part!r}"))
        tables[part] = Table(f"{path}, array {name!r}", array)
    return tables


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            what = "is neither an .npz file, as numpy.savez writes it, nor a .parquet file"
            raise BadInput(Problem(str(path), what))
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except ValueError as error:
        objects = "it holds Python objects, which may run code when they are read: save arrays of numbers"
        what = objects if "allow_pickle" in str(error) else f"cannot be read ({error})"
        raise BadInput(Problem(str(path), what)) from None
    except (OSError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(Problem(str(path), f"cannot be read ({error})")) from None


def _parquet(path: Path, label: str) -> dict[str, Table]:
    columns = _columns(path)
    if label and label not in columns:
        raise BadInput(Problem(str(path), f"no column is called {label!r}; {nearest(label, columns)}"))
    arrays = {name: _column(f"{path}, column {name!r}", column) for name, column in columns.items()}
    labels = arrays.pop(label or "label", None)
    if not arrays:
        raise BadInput(Problem(str(path), "there is no column of coordinates"))
    tables = {"train": Table(f"{path}, columns {', '.join(arrays)}", np.stack([*arrays.values()], axis=1))}
    if labels is not None:
        tables["train_labels"] = Table(f"{path}, column {label or 'label'!r}", labels)
    return tables


def _columns(path: Path) -> dict[str, Any]:
    import pyarrow as pa  # takes a while, so only who needs it pays
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise BadInput(Problem(str(path), f"cannot be read ({error})")) from None
    return dict(zip(table.column_names, table.columns, strict=True))


def _column(where: str, column: Any) -> np.ndarray:
    import pyarrow as pa  # as above

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise BadInput(Problem(where, f"holds {column.type}, not numbers: leave it out"))
    if column.null_count:
        raise BadInput(Problem(where, f"{column.null_count:,} of its {len(column):,} values are missing"))
    return column.to_numpy()
