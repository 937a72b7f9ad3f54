"""What is going on in a folder of results, read from its files alone: for `ganbench watch`."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ganbench.errors import BadInput, Problem
from ganbench.judging.outcomes import Outcome
from ganbench.running import live
from ganbench.running.live import read_live
from ganbench.storage.lock import FolderLock
from ganbench.storage.records import LiveRecord, LiveTraining, StackConfig, StackStatus, SuiteLock
from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import LOCK_NAME, read_lock
from ganbench.text import not_as_planned, plural

State = Literal["absent", "training", "finished", "stopped"]
_ENDED = ("finished", "crashed")
_LOST = None
"""The state where status.json cannot be read: by its rows, a stack has ended, as reports have it."""
_READ = {"suite", "keys", "labels", "variants", "failed", "stacks"}
_Left = dict[str, tuple[StackConfig, StackStatus]]
"""Name of a stack that has not ended -> its config and status."""
_Ended = dict[str, Mapping[str, Any]]
"""Run key -> what is known of a run that ended: its row, or its entry in the lock."""


@dataclass(frozen=True)
class Training:
    """A stack in training.

    Arguments:
        variants: how many its runs are of.
        evaluated: the step of the last evaluation, None before the first.
        metrics: least, median and greatest value over its runs there.
        seconds_left: None before anything can be said.
    """

    stack: str
    label: str
    variants: int
    runs: int
    step: int
    steps: int
    evaluated: int | None
    metrics: Mapping[str, Sequence[float | None]]
    seconds_left: float | None


@dataclass(frozen=True)
class Failure:
    """A run that failed. One that is frozen while its stack trains has diverged."""

    outcome: str
    variant: str
    seed: int
    step: int | None
    reason: str


@dataclass(frozen=True)
class Frame:
    """The state of a suite at one moment.

    Arguments:
        state: absent: nothing is there yet; training: its process lives; finished: every run ended;
            stopped: some did not, and no process is at it.
        holder: the process that trains, or that was killed; "" where no process left its lock.
        command: how the suite was started.
        runs: of the suite: all, ended, in training; the others wait.
        waiting_stacks: how many stacks the others are in, as far as they are made.
        run_steps_per_second: of all runs together, over this session.
        metric: the one that variants are compared by, "" where each has its own.
        warnings: a sentence for each reason why stacks are not trained as planned, and for each file that
            could not be read.
    """

    state: State
    folder: str
    suite: str = ""
    holder: str = ""
    command: str = ""
    runs: int = 0
    ended: int = 0
    in_training: int = 0
    waiting_stacks: int = 0
    seconds: float | None = None
    seconds_left: float | None = None
    run_steps_per_second: float | None = None
    training: Sequence[Training] = ()
    failures: Sequence[Failure] = ()
    metric: str = ""
    warnings: Sequence[str] = ()

    @property
    def outcomes(self) -> str:
        """Counts of failures by outcome, such as "3 diverged, 1 collapsed"."""
        counts = Counter(failure.outcome for failure in self.failures)
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())


@dataclass
class Follower:
    """Looks at a folder again and again; what cannot change any more is read once."""

    root: Path
    _configs: dict[str, StackConfig] = field(default_factory=dict)
    _rows: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)
    _warnings: dict[str, list[str]] = field(default_factory=dict)

    def frame(self) -> Frame:
        """What is there now. BadInput where the folder holds no suite."""
        holder = FolderLock(self.root).holder()
        suite = read_lock(self.root)
        if suite is None:
            self._refuse(holder)
            return Frame("absent", str(self.root))
        if not suite.keys() >= _READ:
            # an earlier version's lock has fewer keys: say so rather than fail by a KeyError
            raise BadInput(Problem(str(self.root / LOCK_NAME), "was written by another version of ganbench"))
        now = read_live(self.root) if holder and holder[1] else None  # else of a killed session
        return self._frame(suite, now, holder)

    def _refuse(self, holder: tuple[str, bool] | None) -> None:
        """A folder that was there before any suite is not one that is just being made."""
        if self.root.is_dir() and not holder:
            raise BadInput(Problem(str(self.root), f"holds no suite: there is no {LOCK_NAME}"))
        if self.root.exists() and not self.root.is_dir():
            raise BadInput(Problem(str(self.root), "is a file, not a folder of results"))

    def _frame(self, suite: SuiteLock, now: LiveRecord | None, holder: tuple[str, bool] | None) -> Frame:
        """Arguments: suite.lock.json; live.json, None where nobody trains; who wrote the lock, if held."""
        ended, left = self._look(suite)
        running: dict[str, LiveTraining] = {}
        training: list[Training] = []
        if now:
            running = {name: entry for name, entry in now["training"].items() if name in left}
            training = [_training(name, left[name][0], stack, now["time"]) for name, stack in running.items()]
        frozen = [failure for name, stack in running.items() for failure in _frozen(left[name][0], stack)]
        rate, seconds_left = _pace(now, suite, left, running) if now else (None, None)
        if seconds_left is not None:
            # at least that of the slowest stack: the pace of all assumes that work can be shared
            seconds_left = max([seconds_left, *(stack.seconds_left or 0.0 for stack in training)])
        return Frame(
            state=_state(holder, len(ended) >= len(suite["keys"])),
            folder=str(self.root),
            suite=suite["suite"],
            holder=holder[0] if holder else "",
            command=suite.get("command", ""),
            runs=len(suite["keys"]),
            ended=len(ended),
            in_training=sum(stack.runs for stack in training),
            waiting_stacks=len(left) - len(running),
            seconds=now["time"] - now["began"] if now and now["began"] else None,
            seconds_left=seconds_left,
            run_steps_per_second=rate,
            training=training,
            failures=[*_failures(ended.values()), *frozen],
            metric=(suite.get("compare") or {}).get("metric") or "",
            warnings=[*_fallbacks(now), *chain.from_iterable(self._warnings.values())],
        )

    def _look(self, suite: SuiteLock) -> tuple[_Ended, _Left]:
        """(key -> row of the runs that ended, the stacks that are left)."""
        wanted, left = set(suite["keys"]), _Left()
        ended: _Ended = {row["key"]: row for row in suite["failed"]}
        for name, config, status, rows in self._stacks(wanted):
            ended |= {row["key"]: row for row in rows if row["key"] in wanted}
            if not rows and status.get("state") not in (*_ENDED, "split"):
                left[name] = (config, status)
        # A run with a row of an earlier try that trains again has not ended.
        again = {key for config, _ in left.values() for key in config["keys"]}
        return {key: row for key, row in ended.items() if key not in again}, left

    def _stacks(
        self, wanted: set[str]
    ) -> Iterable[tuple[str, StackConfig, StackStatus, list[dict[str, Any]]]]:
        """(name, config, status, rows of runs) of each stack that trains some of the wanted runs."""
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError):
            entries = sorted(os.scandir(self.root / "stacks"), key=lambda entry: entry.name)
        for entry in entries:
            folder = StackFolder(Path(entry.path))
            config = self._configs.get(entry.name) or folder.config()
            if not wanted.isdisjoint(config.get("keys", ())):
                self._configs[entry.name] = config
                with contextlib.suppress(OSError):  # it was removed just now
                    yield entry.name, config, *self._read(entry, folder)

    def _read(self, entry: os.DirEntry[str], folder: StackFolder) -> tuple[StackStatus, list[dict[str, Any]]]:
        """Status and rows of runs. A stack that ended is read again only when its folder changed."""
        # Every file is put in place by a rename, which changes the folder's time. The time is read before
        # the files: a change in between shows at the next look.
        changed = entry.stat().st_mtime_ns
        earlier = self._rows.get(entry.name)
        if earlier and earlier[0] == changed:
            return {"state": "finished"}, earlier[1]
        status = folder.status()
        self._warnings[entry.name] = folder.warnings
        if status.get("state") not in (*_ENDED, _LOST):
            return status, []
        columns = ["key", "variant", "seed", "outcome", "onset_step", "steps", "reason"]
        table = folder.table("runs.parquet")
        rows = table.select(columns).to_pylist() if table is not None else []
        if rows:
            self._rows[entry.name] = (changed, rows)
        return status, rows


def _state(holder: tuple[str, bool] | None, complete: bool) -> State:
    """The suite's state, from its lock's holder and whether every run has ended."""
    if holder and holder[1]:
        return "training"
    return "finished" if complete else "stopped"


def _fallbacks(now: LiveRecord | None) -> list[str]:
    """What is not trained as planned, in sentences."""
    return [
        not_as_planned(
            f"{plural(one['stacks'], 'stack')} {'is' if one['stacks'] == 1 else 'are'}",
            one["executor"],
            one["planned"],
            one["reason"],
        )
        for one in (now.get("fallbacks", ()) if now else ())
    ]


def _training(name: str, config: StackConfig, stack: LiveTraining, now: float) -> Training:
    trained, spent = stack["step"] - stack["from"], now - stack["since"]
    return Training(
        stack=name,
        label=config["label"],
        variants=len(set(config["labels"])),
        runs=len(config["keys"]),
        step=stack["step"],
        steps=stack["steps"],
        evaluated=stack["evaluated"],
        metrics=stack["metrics"],
        seconds_left=(stack["steps"] - stack["step"]) * spent / trained if trained else None,
    )


def _frozen(config: StackConfig, stack: LiveTraining) -> list[Failure]:
    """Runs of a stack in training that train no more."""
    at = [(int(run), step) for run, step in stack["died"].items()]
    return [
        Failure(Outcome.DIVERGED, config["labels"][run], config["seeds"][run], step, "not finite any more")
        for run, step in at
    ]


def _failures(rows: Iterable[Mapping[str, Any]]) -> list[Failure]:
    return [
        Failure(
            row["outcome"],
            row.get("variant") or row["label"],
            row["seed"],
            row.get("onset_step"),
            row["reason"] or "",
        )
        for row in rows
        if row["outcome"] != Outcome.FINISHED
    ]


def _pace(
    now: LiveRecord,
    suite: SuiteLock,
    stacks: _Left,
    running: Mapping[str, LiveTraining],
) -> tuple[float | None, float | None]:
    """(steps of single runs a second, seconds left), by what this session did so far."""
    spent = now["time"] - now["began"] if now["began"] else 0.0
    if not spent or not now["work"]:
        return None, None
    cost = live.costs(suite)
    left = 0.0
    for name, (config, status) in stacks.items():
        steps = config["variants"][0]["steps"]
        step = running[name]["step"] if name in running else status.get("step") or 0
        left += (steps - step) * sum(cost.get(key, 0.0) for key in config["keys"])
    return now["run_steps"] / spent, left * spent / now["work"]
