"""A run's rows here against those of the archive: bit for bit where they must agree, else as far as they can.

In float32, rounding differs between machines, ways of executing and versions of torch, and adversarial
training enlarges such differences until single runs part. What must agree all the same: the first steps, for
they follow from the same draws and initial weights; and the end must be one that the variant's runs have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ganbench.results import load
from ganbench.sharing.verify import VERDICT, Verified, same
from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import lock_in, write_lock

FIRST = 10
"""Steps at the beginning whose losses must agree everywhere."""
CLOSE = 1e-3
"""By this relative difference."""
_POINT = ["step", "metric", "weights"]


@dataclass(frozen=True)
class Compared:
    """One run trained again: whether it agrees, whether it is equal bit for bit, what was seen."""

    key: str
    label: str
    seed: int
    ok: bool
    exact: bool
    detail: str


def compare(found: Verified, there: StackFolder, here: StackFolder, why_not_exact: str) -> list[Compared]:
    """Each run of the stack `here` with the same run of the stack `there`.

    Arguments:
        why_not_exact: why they need not agree bit for bit; empty where they must.
    """
    keys = there.config()["keys"]
    config = here.config()
    one, other = _Frames(there), _Frames(here)
    told = []
    for index, key in enumerate(config["keys"]):
        rows = (one.of(keys.index(key)), other.of(index))
        fault = rows[0].differs(rows[1])
        exact = not fault
        if fault and why_not_exact:
            fault = _start(*rows) or _end(found, rows[0], rows[1], here)
            detail = fault or f"agrees as far as it can ({why_not_exact})"
        else:
            detail = fault or "equal bit for bit"
        told.append(Compared(key, config["labels"][index], config["seeds"][index], not fault, exact, detail))
    return told


class _Frames:
    """The rows of a stack, read once."""

    def __init__(self, folder: StackFolder) -> None:
        self._runs, self._evals, self._traces = folder.runs(), folder.evals(), folder.traces()
        self._on_gpu = folder.config()["engine"]["device"] != "cpu"

    def of(self, run: int) -> _Rows:
        """Those of one run."""
        evals, traces = (
            frame[frame["run"] == run].drop(columns="run") for frame in (self._evals, self._traces)
        )
        point = [name for name in _POINT if name in evals]
        trace = traces.astype({"player": str}).set_index(["step", "player"]).sort_index()
        row = self._runs.iloc[run].to_dict()
        return _Rows(row, evals.set_index(point).sort_index(), trace, self._on_gpu)


@dataclass(frozen=True)
class _Rows:
    """The rows of one run: how it ended, evaluations by step and metric, trace by step and player."""

    row: dict[Any, Any]
    values: pd.DataFrame
    trace: pd.DataFrame
    on_gpu: bool

    def differs(self, other: _Rows) -> str:
        """The first thing in which the two differ; empty where they are equal, NaN to NaN."""
        steps = self.trace.index.intersection(other.trace.index)
        pairs = (
            ("the trace", self.trace.loc[steps], other.trace.loc[steps]),
            ("the evaluations", self.values, other.values),
        )
        for name, one, two in pairs:
            if not one.equals(two[one.columns]):
                return f"{name} differ{'s' if name == 'the trace' else ''}{_where(one, two)}"
        if not same(self.row, other.row, (*VERDICT, "steps")):
            return f"it {self.row['outcome']} there and {other.row['outcome']} here"
        return ""


def _where(one: pd.DataFrame, two: pd.DataFrame) -> str:
    """Where two frames differ first, in words."""
    if not one.index.equals(two.index):
        return ": they are of other steps"
    for name in one:
        unequal = (one[name] != two[name]) & ~(one[name].isna() & two[name].isna())
        if unequal.any():
            place = int(unequal.to_numpy().argmax())
            at: Any = one.index[place]
            told = ", ".join(map(str, at if isinstance(at, tuple) else (at,)))
            return f" first at {told}: {name} {one[name].iloc[place]} there, {two[name].iloc[place]} here"
    return ""


def _start(one: _Rows, two: _Rows) -> str:
    """Why the first steps do not agree; empty where they do, or where the draws are not the same ones."""
    if one.on_gpu != two.on_gpu or one.trace.empty or two.trace.empty:
        return ""
    first = [step for step in one.trace.index.intersection(two.trace.index) if step[0] <= FIRST]
    losses, again = (rows.trace.loc[first, "loss"].to_numpy(dtype=np.float64) for rows in (one, two))
    if np.allclose(losses, again, rtol=CLOSE, atol=CLOSE, equal_nan=True):
        return ""
    return f"its losses differ from the first {FIRST} steps on: it is not the same run"


def _end(found: Verified, one: _Rows, two: _Rows, here: StackFolder) -> str:
    """Why the end is none that a run of the variant has in the archive; empty where it is."""
    published = load(found.folder).runs
    mates = published[published["variant"] == one.row["variant"]]
    if two.row["outcome"] not in set(mates["outcome"]):
        return f"it {two.row['outcome']} here, which no run of the variant did there"
    lock = lock_in(found.folder)
    column = f"final_{(lock.get('compare') or {}).get('metric')}"
    root = here.path.parent.parent
    write_lock(root, lock)
    again = load(root).runs.set_index("key")
    if column not in mates or column not in again:
        return ""
    values = mates[column].dropna().to_numpy(dtype=np.float64)
    values, value = values[np.isfinite(values)], float(again.loc[two.row["key"], column])
    spread = float(np.ptp(values)) if len(values) else 0.0
    if len(values) < 3 or not np.isfinite(value) or values.min() - spread <= value <= values.max() + spread:
        return ""
    told = f"{values.min():.4g} to {values.max():.4g}"
    return f"its {column} of {value:.4g} is far from those of the variant ({told})"
