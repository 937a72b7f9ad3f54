"""The columns of rows on disk, and rows as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

SCHEMA = 1
"""Of rows, run keys and locks. Raising it retrains everything, and results of another one are not read."""

EVALS = pa.schema(
    {
        "run": pa.int32(),
        "step": pa.int64(),
        "metric": pa.string(),
        "value": pa.float64(),
        "n": pa.int64(),
        "extractor": pa.string(),
        "weights": pa.string(),
        # null in rows of an earlier version
        "n_real": pa.int64(),
        "dimensions": pa.int64(),
        "extractor_digest": pa.string(),
    }
)

RUNS = pa.schema(
    {
        **dict.fromkeys(("key", "suite", "variant", "model", "loss", "techniques", "dataset"), pa.string()),
        "seed": pa.int64(),
        "outcome": pa.string(),
        "onset_step": pa.int64(),
        "reason": pa.string(),
        "evidence_first": pa.int64(),
        "evidence_last": pa.int64(),
        "remark": pa.string(),
        # the facts of reason and remark; null in rows of an earlier version
        **dict.fromkeys(("seen_by", "player", "probe", "behaviour"), pa.string()),
        "steps": pa.int64(),
        "budget": pa.int64(),
        "seconds": pa.float64(),
        "evaluation_seconds": pa.float64(),
        **dict.fromkeys(("device", "executor", "planned_executor", "executor_reason", "mapper"), pa.string()),
        "stack_size": pa.int64(),
        **dict.fromkeys(("stack", "versions"), pa.string()),
    }
)

Rows: TypeAlias = Sequence[Mapping[str, object]] | pd.DataFrame


def runs_frame(table: pa.Table) -> pd.DataFrame:
    """Rows of runs.parquet as a frame; steps that most runs have none of are nullable integers."""
    frame: pd.DataFrame = table.to_pandas()
    # to_pandas makes floats of integers with nulls: reports would print step 300 as 300.0
    for name in ("onset_step", "evidence_first", "evidence_last"):
        if name in frame:  # rows of an earlier version have no evidence
            frame[name] = pd.array(table.column(name).to_pylist(), dtype="Int64")
    return frame


def arrow_column(values: np.ndarray) -> pa.Array:
    """An arrow array. Text (player names) repeats in every row: it becomes a dictionary."""
    array = pa.array(values)
    return array.dictionary_encode() if pa.types.is_string(array.type) else array


def rows_table(rows: Rows, schema: pa.Schema) -> pa.Table:
    """Rows as a table: the schema's columns first (null where a row has none), then all others."""
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    names = dict.fromkeys([*schema.names, *(name for row in records for name in row)])
    types = {name: schema.field(name).type if name in schema.names else None for name in names}
    return pa.table(
        {n: pa.array([_cell(row.get(n), kind) for row in records], type=kind) for n, kind in types.items()}
    )


def _cell(value: object, kind: pa.DataType | None) -> object:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, str):  # an error message may hold the surrogates of an undecodable file name
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    # pandas has NaN for an absent integer or text, which arrow refuses in such a column
    if kind is not None and not pa.types.is_floating(kind) and isinstance(value, float) and math.isnan(value):
        return None
    return value
