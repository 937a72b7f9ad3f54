"""Rows on disk: one folder a stack, one writer a folder, every file written whole or not at all.

    results/<suite>/
      suite.lock.json
      stacks/<slug>-<hash12>/
        config.json env.json status.json trace-<first>-<last>.parquet evals.parquet runs.parquet
        checkpoint.safetensors traceback.txt samples/

A process may be killed at any moment: a file is then either the old one or the new one, and its
temporary (`.<name>.<token>.tmp`) is never read. What cannot be read counts as absent and leaves a
sentence in `StackFolder.warnings`. Nothing here can run code that it reads.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ganbench.storage.atomic import plain, read_json, sync_folder, write_atomic, write_json
from ganbench.storage.records import CheckpointMeta, StackConfig, StackStatus
from ganbench.storage.schema import EVALS, RUNS, Rows, arrow_column, rows_table, runs_frame
from ganbench.text import first_line, slug

# Matched in full: a file that a person copied or renamed there is no part of the results.
_TRACE_NAME = re.compile(r"trace-(\d+)-(\d+)\.parquet")
REAL_SHEET = "real.png"
_SHEET_NAME = re.compile(r"run(\d+)-step(\d+)\.png")
_META = "ganbench"


@dataclass
class StackFolder:
    """The folder of one stack. Only one process may write to it; any number may read.

    `warnings` collects a sentence for each file that was there but could not be read.
    """

    path: Path
    warnings: list[str] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def create(cls, root: Path, slug_source: str, identity: str) -> StackFolder:
        """The folder `<slug>-<hash12>` under `root`/stacks, made where missing, kept where there.

        Arguments:
            root: the suite's folder of results.
            slug_source: what a person may recognise it by; any text.
            identity: what makes the stack this one; the first 12 hex digits of its SHA-256 end the name.
        """
        # 48 bits: two stacks of one suite share a name with a chance of 1 in 10^14. backslashreplace: the
        # identity may hold the surrogates of an undecodable file name.
        digest = hashlib.sha256(identity.encode("utf-8", "backslashreplace")).hexdigest()
        folder = cls(Path(root) / "stacks" / f"{slug(slug_source)}-{digest[:12]}")
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.clear_leftovers()
        return folder

    def clear_leftovers(self) -> None:
        """Remove temporaries that a killed process left."""
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    @property
    def samples(self) -> Path:
        """The folder for samples, made where missing."""
        folder = self.path / "samples"
        folder.mkdir(exist_ok=True)
        return folder

    def write_sheet(self, run: int, step: int, picture: bytes) -> None:
        """Write a sample sheet (PNG) of the run with that index."""
        # padded, so that a listing by name is one by run and step
        write_atomic(
            self.samples / f"run{run:04d}-step{step:010d}.png", lambda path: path.write_bytes(picture)
        )

    def write_real_sheet(self, picture: bytes) -> None:
        """Write a sheet (PNG) of real samples, to see generated ones beside."""
        write_atomic(self.samples / REAL_SHEET, lambda path: path.write_bytes(picture))

    @property
    def real_sheet(self) -> Path | None:
        """The sheet of real samples; None where there is none."""
        path = self.path / "samples" / REAL_SHEET
        return path if path.exists() else None

    def sheets(self) -> list[tuple[int, int, Path]]:
        """(index of the run, step, file) of each sample sheet, by run and step."""
        matches = ((_SHEET_NAME.fullmatch(p.name), p) for p in (self.path / "samples").glob("run*.png"))
        return sorted((int(match[1]), int(match[2]), path) for match, path in matches if match)

    def config(self) -> StackConfig:
        """What the stack trains: with all keys, or, where absent or unreadable, with none."""
        return cast(StackConfig, self._json("config.json") or {})

    def write_config(self, config: StackConfig) -> None:
        """Write config.json."""
        write_json(self.path / "config.json", config)

    def env(self) -> dict[str, Any]:
        """The software and machine of its training; empty where absent or unreadable."""
        return self._json("env.json") or {}

    def write_env(self, env: Mapping[str, object]) -> None:
        """Write env.json."""
        write_json(self.path / "env.json", env)

    def status(self) -> StackStatus:
        """The state and step of its training; empty where absent or unreadable."""
        return cast(StackStatus, self._json("status.json") or {})

    def write_status(self, status: StackStatus) -> None:
        """Write status.json."""
        write_json(self.path / "status.json", status)

    def write_traceback(self, text: str) -> Path:
        """Write traceback.txt, the traceback of a crash. Returns its path."""
        path = self.path / "traceback.txt"
        write_atomic(path, lambda temporary: temporary.write_text(text, "utf-8", "backslashreplace"))
        return path

    def drop_traceback(self) -> None:
        """Remove the traceback of an earlier try, if there is one."""
        (self.path / "traceback.txt").unlink(missing_ok=True)

    def write_traces(self, first_step: int, last_step: int, columns: Mapping[str, np.ndarray]) -> None:
        """Write one part of the traces: rows (run, step, player), all of first_step <= step <= last_step."""
        table = pa.table({name: arrow_column(values) for name, values in columns.items()})
        self._write_table(f"trace-{first_step:010d}-{last_step:010d}.parquet", table)

    def trace_parts(self) -> list[tuple[int, int, Path]]:
        """(first step, last step, file) of each part, in order of steps."""
        matches = ((_TRACE_NAME.fullmatch(path.name), path) for path in self.path.glob("trace-*.parquet"))
        return sorted((int(match[1]), int(match[2]), path) for match, path in matches if match)

    def traces_table(self, columns: Sequence[str] | None = None) -> pa.Table | None:
        """All readable parts as one arrow table, in order of steps; None where there are none.

        Arguments:
            columns: which to read, as far as they are there; all by default.
        """
        parts = [self.table(path.name, columns) for _, _, path in self.trace_parts()]
        readable = [part for part in parts if part is not None]
        if not readable:
            return None
        # Parts of an earlier version may have fewer columns; each part has its own dictionary of players.
        return pa.concat_tables(readable, promote_options="permissive").unify_dictionaries()

    def trace_columns(self) -> frozenset[str]:
        """Names of all columns of the readable parts."""
        parts = [self._columns(path.name) for _, _, path in self.trace_parts()]
        return frozenset(name for names in parts for name in names)

    def traces(self) -> pd.DataFrame:
        """Rows (run, step, player) with the probes as columns; empty where there are none."""
        table = self.traces_table()
        return pd.DataFrame() if table is None else table.to_pandas()

    def drop_traces_after(self, step: int) -> None:
        """Remove the parts that begin after `step`, the last first, so that a kill leaves no gap.

        Checkpoints are written right after a flush: no part straddles the step of one.
        """
        for first, _, path in reversed(self.trace_parts()):
            if first > step:
                path.unlink()
        sync_folder(self.path)

    def write_evals(self, rows: Rows) -> None:
        """Write all rows (run, step, metric) so far, in place of those written before."""
        self._write_table("evals.parquet", rows_table(rows, EVALS))

    def evals(self) -> pd.DataFrame:
        """Rows (run, step, metric); empty, with the columns, where there are none."""
        table = self.table("evals.parquet")
        frame: pd.DataFrame = (EVALS.empty_table() if table is None else table).to_pandas()
        return frame

    def drop_evals_after(self, step: int) -> None:
        """Remove the evaluations later than `step`."""
        rows = self.evals()
        if (rows["step"] > step).any():
            self.write_evals(rows[rows["step"] <= step])

    def write_runs(self, rows: Rows) -> None:
        """Write one row a run; keys beyond the fixed columns (swept options) become columns too."""
        self._write_table("runs.parquet", rows_table(rows, RUNS))

    def runs(self) -> pd.DataFrame:
        """One row a run; empty, with the columns, where there are none. Onset and evidence are Int64."""
        table = self.table("runs.parquet")
        return runs_frame(RUNS.empty_table() if table is None else table)

    def write_checkpoint(self, tensors: Mapping[str, np.ndarray], meta: CheckpointMeta) -> None:
        """Write tensors and meta (JSON, in the header) as one file: they can never disagree."""
        arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
        header = {_META: json.dumps(plain(meta), allow_nan=False)}
        write_atomic(
            self.path / "checkpoint.safetensors",
            lambda path: save_file(arrays, path, metadata=header),
        )

    def checkpoint(self) -> tuple[dict[str, np.ndarray], CheckpointMeta] | None:
        """(tensors, meta); None where there is none, or where it cannot be read (then also a warning)."""
        path = self.path / "checkpoint.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                meta: CheckpointMeta = json.loads((file.metadata() or {})[_META])
                return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
        except (
            SafetensorError,
            OSError,
            KeyError,
            ValueError,
        ) as error:  # KeyError: metadata of another program
            self._warn(path.name, error)
            return None

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint, if there is one."""
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """A parquet file of this folder; None where absent or unreadable (then also a warning).

        Arguments:
            columns: which to read, as far as they are there; all by default.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            with pq.ParquetFile(path) as file:
                return file.read(columns)
        except (pa.ArrowException, OSError) as error:
            self._warn(name, error)
            return None

    def _columns(self, name: str) -> list[str]:
        try:
            return [str(column) for column in pq.read_schema(self.path / name).names]
        except (pa.ArrowException, OSError):
            return []  # the warning comes when its rows are read

    def _write_table(self, name: str, table: pa.Table) -> None:
        write_atomic(self.path / name, lambda path: pq.write_table(table, path, compression="zstd"))

    def _json(self, name: str) -> dict[str, Any] | None:
        value, problem = read_json(self.path / name)
        if problem:
            self._warn(name, problem)
        return value

    def _warn(self, name: str, error: object) -> None:
        self.warnings.append(f"{self.path / name} cannot be read and counts as absent: {first_line(error)}")


def stack_traces(folder: Path | str) -> pd.DataFrame:
    """The traces of the stack in that folder: rows (run, step, player) with the probes as columns."""
    return StackFolder(Path(folder)).traces()


def stack_folders(root: Path) -> list[StackFolder]:
    """The stacks under `root` that have a readable config.json, by name. Anything else is passed over."""
    return [StackFolder(path) for path in _in_stacks(root) if _has_config(path)]


def lost_stacks(root: Path) -> list[Path]:
    """Folders of stacks that hold rows, but no readable config.json: nobody knows whose they are."""
    return [path for path in _in_stacks(root) if not _has_config(path) and any(path.glob("*.parquet"))]


def _in_stacks(root: Path) -> list[Path]:
    stacks = Path(root) / "stacks"
    return sorted(stacks.iterdir()) if stacks.is_dir() else []


def _has_config(path: Path) -> bool:
    return bool(read_json(path / "config.json")[0])
