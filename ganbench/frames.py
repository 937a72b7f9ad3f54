"""Results on disk -> tidy pandas frames -> one row a variant. No training code is loaded for it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ganbench.errors import BadInput, Problem, nearest
from ganbench.store import (
    EVALS,
    LOCK_NAME,
    RUNS,
    StackFolder,
    read_lock,
    rows_table,
    runs_frame,
    stack_folders,
)
from ganbench.summary import summarise, times_to

SCHEMA = 1
_RUN = [("key", pa.string()), ("variant", pa.string()), ("seed", pa.int64())]
_NO_EVALUATIONS = pa.schema([*_RUN, *list(EVALS)[1:]]).empty_table()
_NO_TRACES = pa.schema([*_RUN, ("step", pa.int64()), ("player", pa.string())]).empty_table()
_NO_RESULT = frozenset({"crashed", "timed_out", "incompatible"})


def load(path: Path | str) -> Results:
    """The results of a suite, from its folder, e.g. "results/quickstart". Frames are built when asked for.

    Raises BadInput where there is no such folder, or nothing in it.
    """
    root = Path(path)
    if not root.is_dir():
        raise BadInput(
            Problem(str(path), f"no such folder of results; {nearest(root.name, _suites(root.parent))}")
        )
    lock, folders = read_lock(root) or {}, stack_folders(root)
    if not folders and not lock.get("failed"):
        inside = _suites(root)
        hint = f"; {nearest('', inside)}" if inside else "; give the folder that `ganbench run` named"
        raise BadInput(Problem(str(path), f"there are no results here{hint}"))
    if lock.get("schema", SCHEMA) != SCHEMA:
        what = f"was written in schema {lock['schema']!r}; this ganbench reads schema {SCHEMA}"
        raise BadInput(Problem(str(root / LOCK_NAME), what))
    return Results(root, lock, folders)


def _suites(folder: Path) -> list[str]:
    """Names of the folders in `folder` that look like results."""
    if not folder.is_dir():
        return []
    return [p.name for p in folder.iterdir() if (p / LOCK_NAME).is_file() or (p / "stacks").is_dir()]


@dataclass(eq=False)
class Results:
    """All results of one suite.

    Arguments:
        path: the suite's folder.
        lock: the resolved suite, empty where there is none. Only the runs that it names are shown.
        folders: its stacks.
    """

    path: Path
    lock: Mapping[str, Any]
    folders: Sequence[StackFolder] = field(repr=False)

    @property
    def name(self) -> str:
        """The suite's name."""
        return str(self.lock.get("suite") or self.path.resolve().name)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, in the suite's order of variants, then by seed.

        suite, variant, model, loss, techniques, dataset, seed, outcome, onset_step, reason, evidence_first
        and evidence_last (the steps over which it held), remark (what was seen and is no failure), steps,
        swept options, seconds (of training), evaluation_seconds, device, stack_size, versions, …; of each
        metric final_<metric> (at the last evaluation, of the averaged weights where there are some) and
        best_<metric>. Failed runs keep the values that they had.
        """
        frame = self._stored_runs.drop(columns="_folder")
        rank = {label: index for index, label in enumerate(self.configs)}
        frame["_rank"] = frame["variant"].map(rank).fillna(len(rank))
        frame = frame.sort_values(["_rank", "variant", "seed"], kind="stable", ignore_index=True)
        values = _metric_columns(self.evaluations, self.directions)
        return frame.drop(columns="_rank").merge(values, how="left", left_on="key", right_index=True)

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """One row a (run, step, metric): key, variant, seed, step, metric, value, n, extractor, weights."""
        table = self._concat(folder.table("evals.parquet") for folder in self.folders)
        frame: pd.DataFrame = (_NO_EVALUATIONS if table is None else table).to_pandas()
        frame = frame.astype({"key": str, "variant": str})
        return frame.sort_values(["variant", "seed", "step"], kind="stable", ignore_index=True)

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row a (run, step, player): key, variant, seed, step, player, loss, grad_norm, …

        All of them at once: 5,000 steps of 100 two-player runs are a million rows, some 50 MB.
        """
        table = self._concat(folder.traces_table() for folder in self.folders)
        frame: pd.DataFrame = (_NO_TRACES if table is None else table).to_pandas()
        return frame

    @cached_property
    def sheets(self) -> pd.DataFrame:
        """One row a sample sheet: key, variant, seed, step, path of a PNG."""
        rows = []
        for index, folder in enumerate(self.folders):
            keys, seeds = (self._stacks[index].get(name, ()) for name in ("keys", "seeds"))
            for run, step, path in folder.sheets():
                key = keys[run] if run < len(keys) else ""
                if self._homes.get(key) == index:
                    rows.append((key, self._names.get(key, ""), seeds[run], step, path))
        return pd.DataFrame(rows, columns=["key", "variant", "seed", "step", "path"])

    @cached_property
    def configs(self) -> dict[str, Mapping[str, Any]]:
        """Variant label -> its resolved configuration, in the suite's order."""
        listed = {str(entry["label"]): entry["config"] for entry in self.lock.get("variants", ())}
        stored = {
            str(label): config
            for stack in self._stacks
            for label, config in zip(stack.get("labels", ()), stack.get("variants", ()), strict=False)
        }
        return listed or stored

    @property
    def directions(self) -> Mapping[str, str]:
        """Metric -> "higher" or "lower" (is better). One that is not named counts as lower."""
        named: Mapping[str, str] = self.lock.get("directions") or {}
        return named

    @property
    def missing(self) -> int:
        """How many of the suite's runs have no row: they wait, or train just now."""
        return len(set(self.lock.get("keys", ())) - set(self.runs["key"]))

    @cached_property
    def environments(self) -> list[dict[str, Any]]:
        """The distinct environments that the shown runs were trained in."""
        used = set(self._homes.values())
        envs = (folder.env() for index, folder in enumerate(self.folders) if index in used)
        found = {json.dumps(env, sort_keys=True): env for env in envs if env}
        return list(found.values())

    @property
    def warnings(self) -> list[str]:
        """A sentence for each file that could not be read so far."""
        return list(dict.fromkeys(text for folder in self.folders for text in folder.warnings))

    def summary(self, metric: str | None = None) -> pd.DataFrame:
        """One row a variant: how often it failed, and its final and best values over seeds.

        Arguments:
            metric: which to show. Default: the suite's metric of comparison in variants that take it,
                in the others the first that they take.

        Columns: variant, runs, failures, failure_rate, failure_low, failure_high, outcomes, metric,
        direction, statistic, final, final_low, final_high, best, best_low, best_high, n. A failure is
        whatever did not finish; failed runs rank worst (infinite), none is left out. Rates have Wilson
        intervals, values the interquartile mean (the median below 4 runs) with bootstrap intervals; 95%.
        """
        return summarise(self.runs, self._main_metrics(metric), self.directions)

    def time_to(self, metric: str, threshold: float) -> pd.DataFrame:
        """One row a run: when the metric was first at least as good as the threshold.

        Columns: key, variant, seed, outcome, reached, step, seconds. A run that failed, even later, or never
        came there is censored at its full budget: `reached` is False, and `step` and `seconds` are those of
        the budget. Steps are those of evaluations. `seconds` is training time, its share of its stack's,
        NaN for a run that left no result. With `scipy.stats.CensoredData.right_censored(step, ~reached)` they
        make survival curves and log-rank tests.
        """
        measured = self.evaluations["metric"].unique()
        if metric not in measured:
            raise BadInput(f"no run measured {metric!r}; {nearest(metric, map(str, measured))}")
        direction = self.directions.get(metric, "lower")
        return times_to(self.runs, averaged(self.evaluations), metric, threshold, direction)

    def _main_metrics(self, asked: str | None) -> dict[str, str]:
        """Variant -> the metric to show, left out where the variant takes none such."""
        pairs = self.evaluations[["variant", "metric"]].drop_duplicates()
        seen = {str(v): list(rows) for v, rows in pairs.groupby("variant", sort=False)["metric"]}
        taken = {
            v: list(dict.fromkeys(_metric_names(self.configs.get(v, {})) + seen.get(v, [])))
            for v in self._labels
        }
        known = {name for names in taken.values() for name in names}
        if asked is not None and asked not in known:
            raise BadInput(f"no variant takes the metric {asked!r}; {nearest(asked, known)}")
        compare = asked or (self.lock.get("compare") or {}).get("metric")
        main = {}
        for variant, names in taken.items():
            measured = [name for name in names if name in seen.get(variant, names)]
            if compare in names:
                main[variant] = str(compare)
            elif measured and asked is None:
                main[variant] = measured[0]
        return main

    @property
    def _labels(self) -> list[str]:
        return [str(label) for label in self.runs["variant"].unique()]

    @cached_property
    def _stacks(self) -> list[dict[str, Any]]:
        return [folder.config() for folder in self.folders]

    @cached_property
    def _stored_runs(self) -> pd.DataFrame:
        """One row a run that the suite names; `_folder` is the index of its stack, -1 where it had none.

        Where a run was tried more than once, a try that gave a result counts before one that gave none.
        """
        failed = list(self._failed_runs())
        tables = [rows_table(failed, RUNS).append_column("_folder", _constant(-1, len(failed)))]
        for index, folder in enumerate(self.folders):
            table = folder.table("runs.parquet")
            if table is not None:
                tables.append(table.append_column("_folder", _constant(index, len(table))))
        frame = runs_frame(pa.concat_tables(tables, promote_options="permissive"))
        if "keys" in self.lock:
            frame = frame[frame["key"].isin(self._wanted)]
        named = zip(frame["key"], frame["variant"], strict=True)
        frame["variant"] = [self._names.get(key, label) for key, label in named]
        for entry in self.lock.get("variants", ()):
            for path, value in (entry.get("swept") or {}).items():
                frame.loc[frame["variant"] == entry["label"], path] = float(value)
        order = frame["outcome"].isin(_NO_RESULT).sort_values(kind="stable").index
        return frame.loc[order].drop_duplicates("key", ignore_index=True)

    def _failed_runs(self) -> Iterator[dict[str, Any]]:
        """Rows of the runs that never came as far as a stack."""
        for entry in self.lock.get("failed", ()):
            config = self.configs.get(str(entry["label"]), {})
            known = {name: _name_of(config.get(name)) for name in ("model", "loss", "dataset")}
            names = [_name_of(technique) for technique in config.get("techniques", ())]
            yield {
                **known,
                "techniques": "+".join(names) or "plain",
                "suite": self.name,
                "variant": str(entry["label"]),
                "steps": 0,
                "budget": config.get("steps"),
                **{name: value for name, value in entry.items() if name in RUNS.names},
            }

    @cached_property
    def _homes(self) -> dict[str, int]:
        stored = self._stored_runs
        return dict(zip(stored["key"], stored["_folder"], strict=True))

    def _concat(self, tables: Iterable[pa.Table | None]) -> pa.Table | None:
        """One table of one table a stack, or None where there are none."""
        found = [self._labelled(i, table) for i, table in enumerate(tables) if table is not None]
        return pa.concat_tables(found, promote_options="permissive").unify_dictionaries() if found else None

    def _labelled(self, index: int, table: pa.Table) -> pa.Table:
        """The rows of the runs that are shown, with key, variant and seed in place of the index `run`."""
        stack = self._stacks[index]
        keys, labels, seeds = (list(stack.get(name, ())) for name in ("keys", "labels", "seeds"))
        labels = [self._names.get(key, label) for key, label in zip(keys, labels, strict=True)]
        shown = [self._homes.get(key, index) == index and self._shows(key) for key in keys]
        run = table.column("run").to_numpy()
        known = np.where((run >= 0) & (run < len(keys)), run, len(keys))
        table = table.filter(np.array([*shown, False])[known])
        positions = table.column("run").combine_chunks().cast(pa.int32())
        return (
            table.drop_columns("run")
            .add_column(0, "key", _dictionary(positions, keys))
            .add_column(1, "variant", _dictionary(positions, labels))
            .add_column(2, "seed", pa.array(seeds, type=pa.int64()).take(positions))
        )

    def _shows(self, key: str) -> bool:
        return "keys" not in self.lock or key in self._wanted

    @cached_property
    def _names(self) -> dict[str, str]:
        """Key -> label by which the suite knows the run now (a sweep may have been added since)."""
        return dict(zip(self.lock.get("keys", ()), self.lock.get("labels", ()), strict=False))

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self.lock.get("keys", ()))

    def _repr_html_(self) -> str:
        title = html.escape(f"{self.name}: {len(self.runs)} runs in {self.path}")
        return f"<p>{title}</p>{self.summary().to_html(index=False, escape=True, na_rep='')}"


def averaged(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The rows of the averaged weights, of the runs that have some; all rows of the others."""
    ema = evaluations["weights"] == "ema"
    return evaluations[ema | ~evaluations["key"].isin(evaluations.loc[ema, "key"])]


def _metric_columns(evaluations: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """Key -> final_<metric> and best_<metric>, metrics in order of first appearance."""
    rows = averaged(evaluations).sort_values("step", kind="stable")
    last = rows.drop_duplicates(["key", "metric"], keep="last").pivot(
        index="key", columns="metric", values="value"
    )
    sign = np.where(rows["metric"].map(directions) == "higher", -1.0, 1.0)
    best = (rows["value"] * sign).groupby([rows["key"], rows["metric"]]).min().unstack("metric")
    columns = {}
    for metric in evaluations["metric"].unique():
        columns[f"final_{metric}"] = last[metric]
        columns[f"best_{metric}"] = best[metric] * (-1.0 if directions.get(metric) == "higher" else 1.0)
    return pd.DataFrame(columns, index=last.index)


def _dictionary(positions: pa.Array, texts: Sequence[object]) -> pa.Array:
    """The text at each position, stored once."""
    return pa.array([str(text) for text in texts], type=pa.string()).take(positions).dictionary_encode()


def _constant(value: int, count: int) -> pa.Array:
    return pa.array(np.full(count, value, dtype=np.int64))


def _metric_names(config: Mapping[str, Any]) -> list[str]:
    return [_name_of(metric) for metric in (config.get("evaluate") or {}).get("metrics", ())]


def _name_of(component: Any) -> str:
    return str(component.get("name", "")) if isinstance(component, Mapping) else str(component or "")
