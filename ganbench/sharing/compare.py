"""A run's rows here against those of the archive: bit for bit where they must agree, else as far as they can.

In float32, rounding differs between machines, ways of executing and versions of torch, and adversarial
training enlarges such differences until single runs part. What must agree all the same: the first steps, for
they follow from the same draws and initial weights; and the end must be one that the variant's runs have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from ganbench.results import load
from ganbench.sharing.verify import VERDICT, Verified, same
from ganbench.storage.records import RunRow
from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import lock_in, write_lock

FIRST = 10
"""Steps at the beginning whose losses must agree on every machine."""
# Far above the rounding of float32 (6e-8) after so few steps, far below the spread between seeds.
CLOSE = 1e-3
"""The relative difference up to which they agree."""
_POINT = ["step", "metric", "weights"]


@dataclass(frozen=True)
class Compared:
    """One run trained again: whether it agrees, whether it is equal bit for bit, and a sentence on both."""

    key: str
    label: str
    seed: int
    ok: bool
    exact: bool
    detail: str


def compare(verified: Verified, there: StackFolder, here: StackFolder, why_not_exact: str) -> list[Compared]:
    """Each run of the stack `here` with the same run of the stack `there`.

    Arguments:
        why_not_exact: why they need not agree bit for bit; empty where they must.
    """
    keys = there.config()["keys"]
    config = here.config()
    theirs, ours = _Frames(there), _Frames(here)
    compared = []
    for index, key in enumerate(config["keys"]):
        # `here` may hold fewer runs: the same key has another index there
        rows = (theirs.of(keys.index(key)), ours.of(index))
        fault = rows[0].differs(rows[1])
        exact = not fault
        if fault and why_not_exact:
            fault = _start(*rows) or _end(verified, rows[0], rows[1], here)
            detail = fault or f"agrees as far as it can ({why_not_exact})"
        else:
            detail = fault or "equal bit for bit"
        label, seed = config["labels"][index], config["seeds"][index]
        compared.append(Compared(key, label, seed, not fault, exact, detail))
    return compared


class _Frames:
    """The rows of a stack, read once."""

    def __init__(self, folder: StackFolder) -> None:
        self._runs, self._evals, self._traces = folder.runs(), folder.evals(), folder.traces()

    def of(self, run: int) -> _Rows:
        """The rows of the run with that index."""
        evals, traces = (
            frame[frame["run"] == run].drop(columns="run") for frame in (self._evals, self._traces)
        )
        point = [name for name in _POINT if name in evals]
        # text again: categories of two stacks may differ, and then compare as unequal
        trace = traces.astype({"player": str}).set_index(["step", "player"]).sort_index()
        row = cast("RunRow", self._runs.iloc[run].to_dict())
        return _Rows(row, evals.set_index(point).sort_index(), trace)


@dataclass(frozen=True)
class _Rows:
    """The rows of one run: how it ended, evaluations by step and metric, trace by step and player."""

    row: RunRow
    values: pd.DataFrame
    trace: pd.DataFrame

    def differs(self, other: _Rows) -> str:
        """The first thing in which the two differ; empty where they are equal, NaN to NaN."""
        # only common steps: the archive's traces may be thinned
        steps = self.trace.index.intersection(other.trace.index)
        pairs = (
            ("the trace", self.trace.loc[steps], other.trace.loc[steps]),
            ("the evaluations", self.values, other.values),
        )
        for name, theirs, ours in pairs:
            if not theirs.equals(ours[theirs.columns]):
                return f"{name} differ{'s' if name == 'the trace' else ''}{_where(theirs, ours)}"
        if not same(self.row, other.row, (*VERDICT, "steps")):
            return f"it {self.row['outcome']} there and {other.row['outcome']} here"
        return ""


def _where(theirs: pd.DataFrame, ours: pd.DataFrame) -> str:
    """Where two frames differ first, in words."""
    if not theirs.index.equals(ours.index):
        return ": they are of other steps"
    for name in theirs:
        # NaN differs from itself, and a run that diverged has it in both
        unequal = (theirs[name] != ours[name]) & ~(theirs[name].isna() & ours[name].isna())
        if unequal.any():
            place = int(unequal.to_numpy().argmax())
            at: object = theirs.index[place]
            point = ", ".join(map(str, at if isinstance(at, tuple) else (at,)))
            return (
                f" first at {point}: {name} {theirs[name].iloc[place]} there, {ours[name].iloc[place]} here"
            )
    return ""


def _start(theirs: _Rows, ours: _Rows) -> str:
    """Why the first steps do not agree; empty where they do."""
    if theirs.trace.empty or ours.trace.empty:
        return ""
    first = [step for step in theirs.trace.index.intersection(ours.trace.index) if step[0] <= FIRST]
    losses, again = (rows.trace.loc[first, "loss"].to_numpy(dtype=np.float64) for rows in (theirs, ours))
    if np.allclose(losses, again, rtol=CLOSE, atol=CLOSE, equal_nan=True):
        return ""
    return f"its losses differ from the first {FIRST} steps on: it is not the same run"


def _end(verified: Verified, theirs: _Rows, ours: _Rows, here: StackFolder) -> str:
    """Why the end is none that a run of the variant has in the archive; empty where it is."""
    published = load(verified.folder).runs
    # runs that differ in the seed alone: any of their ends is one that this run may have
    same_variant = published[published["variant"] == theirs.row["variant"]]
    if ours.row["outcome"] not in set(same_variant["outcome"]):
        return f"it {ours.row['outcome']} here, which no run of the variant did there"
    lock = lock_in(verified.folder)
    column = f"final_{(lock.get('compare') or {}).get('metric')}"
    # `load` computes final values, by the lock of the suite
    root = here.path.parent.parent
    write_lock(root, lock)
    again = load(root).runs.set_index("key")
    if column not in same_variant or column not in again:
        return ""
    values = same_variant[column].dropna().to_numpy(dtype=np.float64)
    values, value = values[np.isfinite(values)], float(cast("float", again.loc[ours.row["key"], column]))
    spread = float(np.ptp(values)) if len(values) else 0.0
    # as far out as the range is wide; of one or two runs, the range says nothing
    if len(values) < 3 or not np.isfinite(value) or values.min() - spread <= value <= values.max() + spread:
        return ""
    range_there = f"{values.min():.4g} to {values.max():.4g}"
    return f"its {column} of {value:.4g} is far from those of the variant ({range_there})"
