"""The rows in a suite's stacks, by run: each key once, under the suite's labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa

from ganbench.results.duplicates import chosen, conflicts
from ganbench.storage.earlier import completed_rows, completed_ways
from ganbench.storage.records import StackConfig, SuiteLock, VariantConfig
from ganbench.storage.schema import EVALS, RUNS, rows_table, runs_frame
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import techniques_label

_RUN = [("key", pa.string()), ("variant", pa.string()), ("seed", pa.int64())]
# Without the first column, `run`: an index within one stack.
NO_EVALUATIONS = pa.schema([*_RUN, *list(EVALS)[1:]]).empty_table()
NO_TRACES = pa.schema([*_RUN, ("step", pa.int64()), ("player", pa.string())]).empty_table()
NO_CONFIG = cast("VariantConfig", {})
"""In place of the configuration of a label that has none, as in a damaged folder."""


class Stored:
    """The rows of the runs that a resolved suite names (of all, where it names none).

    Arguments:
        lock: the resolved suite.
        folders: its stacks.
        name: the suite's.
    """

    def __init__(self, lock: SuiteLock, folders: Sequence[StackFolder], name: str) -> None:
        self._lock, self._folders, self._name = lock, folders, name

    @cached_property
    def stacks(self) -> list[StackConfig]:
        """The stacks' configurations."""
        return [folder.config() for folder in self._folders]

    @cached_property
    def configs(self) -> dict[str, VariantConfig]:
        """Variant label -> its resolved configuration."""
        listed: dict[str, VariantConfig] = {
            str(entry["label"]): entry["config"] for entry in self._lock.get("variants", ())
        }
        stored: dict[str, VariantConfig] = {
            str(label): config
            for stack in self.stacks
            for label, config in zip(stack.get("labels", ()), stack.get("variants", ()), strict=False)
        }
        return listed or stored

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run; `_folder` is the index of its stack, -1 where it had none."""
        return chosen(self._copies)

    @cached_property
    def conflicts(self) -> list[str]:
        """A sentence for each two folders whose copies of a run differ."""
        # Copies within one folder are repeated tries, so a single folder is not searched for conflicts.
        roots = {folder.path.parent for folder in self._folders}
        return conflicts(self._copies, self._folders) if len(roots) > 1 else []

    @cached_property
    def cautions(self) -> list[str]:
        """A sentence where verdicts cannot be compared."""
        judged = {
            json.dumps(stack.get("verdict"), sort_keys=True)
            # Only finished stacks carry verdicts; the others will be judged when they end.
            for folder, stack in zip(self._folders, self.stacks, strict=True)
            if folder.status().get("state") == "finished" and stack.get("verdict")
        }
        mixed = "the runs were judged by different thresholds; `ganbench judge` judges them alike"
        return [mixed] if len(judged) > 1 else []

    @cached_property
    def homes(self) -> dict[str, int]:
        """Key -> index of the stack that its rows come from."""
        return dict(zip(self.runs["key"], self.runs["_folder"], strict=True))

    @cached_property
    def names(self) -> dict[str, str]:
        """Key -> label by which the suite knows the run now (a sweep may have been added since)."""
        return dict(zip(self._lock.get("keys", ()), self._lock.get("labels", ()), strict=False))

    def concat(self, tables: Iterable[pa.Table | None]) -> pa.Table | None:
        """One table of one table a stack, or None where there are none."""
        # Permissive, because stacks differ in their columns, as do those of earlier versions.
        parts = [self.labelled(i, table) for i, table in enumerate(tables) if table is not None]
        return pa.concat_tables(parts, promote_options="permissive").unify_dictionaries() if parts else None

    def labelled(self, index: int, table: pa.Table) -> pa.Table:
        """The rows of the runs that are shown, with key, variant and seed in place of the index `run`."""
        stack = self.stacks[index]
        keys, seeds = stack.get("keys", []), stack.get("seeds", [])
        labels = [
            self.names.get(key, label) for key, label in zip(keys, stack.get("labels", []), strict=True)
        ]
        shown = [self.homes.get(key, index) == index and self._shows(key) for key in keys]
        run = table.column("run").to_numpy()
        # An index outside of the stack, in a damaged file, points at the False appended below.
        places = np.where((run >= 0) & (run < len(keys)), run, len(keys))
        table = table.filter(np.array([*shown, False])[places])
        positions = table.column("run").combine_chunks().cast(pa.int32())
        return (
            table.drop_columns("run")
            .add_column(0, "key", _dictionary(positions, keys))
            .add_column(1, "variant", _dictionary(positions, labels))
            .add_column(2, "seed", pa.array(seeds, type=pa.int64()).take(positions))
        )

    def sheets(self) -> Iterator[tuple[str, str, int, int, Path]]:
        """(key, variant, seed, step, file) of each sample sheet."""
        for index, folder in enumerate(self._folders):
            stack = self.stacks[index]
            keys, seeds = stack.get("keys", []), stack.get("seeds", [])
            for run, step, path in folder.sheets():
                key = keys[run] if run < len(keys) else ""
                if self.homes.get(key) == index:
                    yield key, self.names.get(key, ""), seeds[run], step, path

    def real_sheets(self) -> Iterator[tuple[str, Path]]:
        """(variant, file) of the sheets of real samples."""
        for index, folder in enumerate(self._folders):
            path = folder.real_sheet
            for key in self.stacks[index].get("keys", []) if path else ():
                if path and key in self.names:
                    yield self.names[key], path

    @cached_property
    def _copies(self) -> pd.DataFrame:
        """Rows of runs, some of them tried more than once or lying in several folders."""
        failed = list(self._failed_runs())
        # Present even without failed runs: it gives the frame its columns where there is no stack.
        tables = [rows_table(failed, RUNS).append_column("_folder", _constant(-1, len(failed)))]
        for index, folder in enumerate(self._folders):
            table = folder.table("runs.parquet")
            if table is not None:
                tables.append(table.append_column("_folder", _constant(index, len(table))))
        frame = runs_frame(pa.concat_tables(tables, promote_options="permissive"))
        frame = completed_ways(completed_rows(frame))
        if "keys" in self._lock:
            frame = frame[frame["key"].isin(self._wanted)].reset_index(drop=True)
        labels = frame["key"].map(self.names)
        # Without a lock no run has a label here, and each keeps the one of its stack.
        frame["variant"] = labels.where(labels.notna(), frame["variant"])
        for path, values in self._swept().items():
            swept = frame["variant"].map(values).astype("float64")
            # The suite's values take precedence: a fixed option may have become a swept one since.
            frame[path] = swept.fillna(frame[path]) if path in frame else swept
        return frame

    def _swept(self) -> dict[str, dict[str, float]]:
        """Swept option -> variant label -> value, as the suite has them now."""
        values_of_option: dict[str, dict[str, float]] = {}
        for entry in self._lock.get("variants", ()):
            for path, value in (entry.get("swept") or {}).items():
                values_of_option.setdefault(path, {})[str(entry["label"])] = float(value)
        return values_of_option

    def _failed_runs(self) -> Iterator[dict[str, object]]:
        """Rows of the runs that failed before they had a stack."""
        for entry in self._lock.get("failed", ()):
            config = self.configs.get(str(entry["label"]), NO_CONFIG)
            parts = {name: name_of(config.get(name)) for name in ("model", "loss", "dataset")}
            names = [name_of(technique) for technique in config.get("techniques", ())]
            yield {
                **parts,
                "techniques": techniques_label(names),
                "suite": self._name,
                "variant": str(entry["label"]),
                "steps": 0,
                "budget": config.get("steps"),
                # Last, because what the suite recorded takes precedence over what its configuration implies.
                **{name: value for name, value in entry.items() if name in RUNS.names},
            }

    def _shows(self, key: str) -> bool:
        return "keys" not in self._lock or key in self._wanted

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self._lock.get("keys", ()))


def name_of(component: object) -> str:
    """The name of a component of a resolved configuration."""
    return str(component.get("name", "")) if isinstance(component, Mapping) else str(component or "")


def _dictionary(positions: pa.Array, texts: Sequence[object]) -> pa.Array:
    """The text at each position, stored once."""
    return pa.array([str(text) for text in texts], type=pa.string()).take(positions).dictionary_encode()


def _constant(value: int, count: int) -> pa.Array:
    return pa.array(np.full(count, value, dtype=np.int64))
