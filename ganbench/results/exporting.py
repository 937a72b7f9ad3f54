"""Frames as files for other programs, which read back exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ganbench.errors import BadInput
from ganbench.storage.atomic import write_atomic

if TYPE_CHECKING:
    from ganbench.results.results import Results


def export_to(results: Results, folder: Path, form: str) -> list[Path]:
    """Write runs, evaluations and traces into `folder`, as "parquet" or "csv"; the paths written.

    Numbers read back exactly (from CSV with pandas below 3: float_precision="round_trip"). In CSV, inf is
    infinity, and an empty cell is NaN or a missing value.

    Raises BadInput if the folder cannot be written to.
    """
    frames = {"runs": results.runs, "evaluations": results.evaluations, "traces": results.traces}
    write = {"parquet": _parquet, "csv": _csv}[form]
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            path = folder / f"{name}.{form}"
            write_atomic(path, _writer(write, frame))
            paths.append(path)
    except OSError as error:
        raise BadInput(f"nothing can be written to {folder} ({error.strerror})") from None
    return paths


def _writer(write: Callable[[pd.DataFrame, Path], None], frame: pd.DataFrame) -> Callable[[Path], None]:
    # A lambda in the caller's loop would bind the loop's variable, not this frame.
    return lambda path: write(frame, path)


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    # The index counts rows and means nothing to other programs.
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")


def _csv(frame: pd.DataFrame, path: Path) -> None:
    # pandas would end lines as the platform does; the same results give the same bytes everywhere.
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
