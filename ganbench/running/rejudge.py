"""Verdicts of a whole folder of results taken again, and which thresholds are in force there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, cast

import pandas as pd

from ganbench.components.base import create, options_of
from ganbench.errors import BadInput, Problem, nearest
from ganbench.judging.run_rows import judged_again, write_judged
from ganbench.judging.thresholds import Thresholds
from ganbench.storage.atomic import plain
from ganbench.storage.earlier import completed_rows
from ganbench.storage.lock import FolderLock
from ganbench.storage.records import OptionValue, RunRow
from ganbench.storage.stack_folder import stack_folders
from ganbench.storage.suite_lock import lock_in, write_lock
from ganbench.suites.load import Suite
from ganbench.suites.toml_file import override

_OWN: Final = "suite_verdict"
"""Where the lock keeps the suite's own thresholds while others are in force."""


@dataclass
class Judged:
    """What judging again came to.

    Arguments:
        thresholds: by which it was judged.
        runs: how many.
        changed: pairs of a run's row before and after, where the verdict (see `verdict_of`) differs.
        kept: stacks that keep their verdicts, because what they were judged from is not there any more.
    """

    thresholds: dict[str, OptionValue]
    runs: int = 0
    changed: list[tuple[RunRow, RunRow]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def compare(self, before: pd.DataFrame, after: Sequence[RunRow]) -> None:
        """Take note of a stack's rows."""
        old = {str(row["key"]): row for row in completed_rows(before).to_dict("records")}
        pairs = [(cast("RunRow", old[row["key"]]), row) for row in after]
        self.runs += len(pairs)
        self.changed += [(earlier, now) for earlier, now in pairs if verdict_of(earlier) != verdict_of(now)]


def judge_folder(root: Path, overrides: Sequence[str] = (), reset: bool = False) -> Judged:
    """Judge all finished stacks of a folder of results again, without training.

    The thresholds stay in force for later runs of the suite, until its own change. Nothing is written before
    everything is judged. After a kill while writing, judge again: the thresholds are already in force.

    Arguments:
        overrides: "verdict.<threshold>=<value>" each, a change of the thresholds in force.
        reset: begin from the suite's own thresholds.

    Raises BadInput for unknown or ill-typed thresholds, and where a process uses the folder.
    """
    with FolderLock(root):
        lock = lock_in(root)
        current = lock.get("verdict") or {}
        suite_thresholds = lock.pop(_OWN, current)
        thresholds = completed(suite_thresholds if reset else current, overrides)
        judged, written = Judged(thresholds), []
        for folder in stack_folders(root):
            before = folder.runs()
            if before.empty and folder.status().get("state") != "finished":
                continue  # not ended: when it resumes, it gets the thresholds in force
            rows = judged_again(folder, thresholds)
            if rows is None:
                judged.kept.append(folder.path.name)
            else:
                judged.compare(before, rows)
                written.append((folder, rows))
        lock["verdict"] = thresholds
        if thresholds != completed(suite_thresholds):
            lock[_OWN] = suite_thresholds
        # The lock first: after a kill from here on, judging again finds the thresholds in it.
        write_lock(root, lock)
        for folder, rows in written:
            write_judged(folder, thresholds, rows)
    return judged


def verdict_of(row: RunRow) -> str:
    """A row's verdict in short, such as "collapsed at 3000" or "finished, oscillating"."""
    onset, behaviour = row["onset_step"], (row["behaviour"] or "").replace("_", " ")
    ending = row["outcome"] if pd.isna(onset) else f"{row['outcome']} at {onset}"
    return ", ".join(filter(None, (ending, behaviour)))


def in_force(suite: Suite, root: Path) -> Suite:
    """The suite with the thresholds that `judge_folder` put in force, unless its own have changed since."""
    lock = lock_in(root)
    # plain: the lock went through JSON, which has lists for tuples and null for infinity
    if _OWN in lock and completed(lock[_OWN]) == plain(suite.verdict):
        return replace(suite, verdict=completed(lock.get("verdict") or {}))
    return suite


def still_own(root: Path, verdict: Mapping[str, OptionValue]) -> dict[str, dict[str, OptionValue]]:
    """What a new lock keeps of the old one, where it is judged by the same thresholds still."""
    lock = lock_in(root)
    same = _OWN in lock and completed(lock.get("verdict") or {}) == plain(verdict)
    return {_OWN: lock[_OWN]} if same else {}


def completed(verdict: Mapping[str, OptionValue], overrides: Sequence[str] = ()) -> dict[str, OptionValue]:
    """All thresholds: those stored, with overrides, and defaults for what is not stored."""
    # Names that this version has no threshold for, of another version's results, are dropped.
    names = {item.name for item in fields(Thresholds)}
    document: dict[str, dict[str, OptionValue]] = {
        "verdict": {k: v for k, v in verdict.items() if k in names}
    }
    problems = []
    for text in overrides:
        try:
            path = override(document, text).split(".")
            if path[0] != "verdict" or len(path) != 2:
                problems.append(
                    Problem(f"--set {text}", "only thresholds can be set: verdict.<name>=<value>")
                )
            elif path[1] not in names:
                choice = nearest(path[1], names, limit=len(names))
                problems.append(Problem(f"--set {text}", f"unknown threshold; {choice}"))
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(problems)
    return options_of(create(Thresholds, document["verdict"], "verdict"))
