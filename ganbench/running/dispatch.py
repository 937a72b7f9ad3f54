"""Events of workers, passed on to the watcher, live.json and observers; failures become rows on the way."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ganbench.judging.run_rows import failed_rows
from ganbench.running.events import Failed, Finished, OutOfMemory, SessionEvent, Split, Started, WorkerEvent
from ganbench.running.live import Live
from ganbench.running.observers import Observers
from ganbench.running.pool import Pool
from ganbench.storage.lock import FolderLock
from ganbench.storage.records import EngineRecord, StackConfig, part_of, way_of
from ganbench.storage.stack_folder import StackFolder
from ganbench.suites.load import canonical
from ganbench.text import not_as_planned, printable, stack_label

REFRESH_SECONDS = 60.0
"""Time between refreshes of the folder's lock: far below the age at which other hosts take it over."""


class Watcher(Protocol):
    """Shows the user what happens."""

    def event(self, event: SessionEvent, label: str) -> None:
        """Something happened to the stack of that label."""

    def warn(self, text: str) -> None:
        """Show a warning: it stops nothing."""


@dataclass
class Dispatcher:
    """Handles the events of every stack in training.

    Arguments:
        root: the suite's folder of results.
        folders: the stacks, by the names of their folders; halves of split ones are added.
        tracebacks: reason of a crash -> where its traceback lies, of the first stack that crashed so.
        refreshed: when the lock was, by the monotonic clock.
        told: warnings that the user has seen.
    """

    root: Path
    pool: Pool
    watcher: Watcher
    live: Live
    observers: Observers
    lock: FolderLock
    folders: dict[str, StackFolder]
    tracebacks: dict[str, Path]
    refreshed: float = field(default_factory=time.monotonic)
    told: set[str] = field(default_factory=set)

    def follow(self, events: Iterable[WorkerEvent]) -> None:
        """Pass the events on, until there are no more."""
        for event in events:
            folder = self.folders[event.stack]
            config = folder.config()
            settled = self._settled(event, folder, config)
            if isinstance(settled, Started):
                self._tell_way(config["engine"])
            self.watcher.event(settled, stack_label(config["labels"]))
            self.live.event(settled, config)
            self.observers.event(settled, folder, config)
            if time.monotonic() - self.refreshed > REFRESH_SECONDS:
                self.refreshed = time.monotonic()
                self.lock.refresh()

    def _tell_way(self, engine: EngineRecord) -> None:
        """Warn of a stack that is not trained as planned, of each reason once."""
        if "why" not in engine:
            return
        sentence = not_as_planned("a stack is", way_of(engine), engine.get("planned", ""), engine["why"])
        if sentence not in self.told:
            self.told.add(sentence)
            self.watcher.warn(printable(sentence, 1000))

    def _settled(self, event: WorkerEvent, folder: StackFolder, config: StackConfig) -> SessionEvent:
        """The event for everyone else: failures have become rows."""
        match event:
            case OutOfMemory():
                return self._out_of_memory(event, folder, config)
            case Failed():
                return self._failed(event, folder)
            case _:
                return event

    def _failed(self, event: Failed, folder: StackFolder) -> Finished:
        # rows first: where the state says that a stack crashed, its rows are there
        rows = failed_rows(folder, event.outcome, event.reason)
        folder.write_runs(rows)
        folder.write_status({**folder.status(), "state": "crashed", "reason": event.reason})
        if event.traceback:  # "" where the worker died: it could send none
            self.tracebacks.setdefault(event.reason, folder.write_traceback(event.traceback))
        return Finished(event.stack, rows)

    def _out_of_memory(
        self, event: OutOfMemory, folder: StackFolder, config: StackConfig
    ) -> Split | Finished:
        """Halve the stack and go on; a single run that does not fit has crashed.

        How much memory a step takes is known only by trying, and grows with the runs of a stack. Runs do not
        depend on each other, so that halves cost speed alone. One that does not fit either is halved again.
        """
        count = len(config["seeds"])
        if count == 1:
            return self._failed(Failed(event.stack, f"out of memory: {event.reason}"), folder)
        # The state first: a kill after it leaves runs without a stack, which the next plan trains anew.
        folder.write_status({"state": "split"})
        folder.drop_checkpoint()
        folder.drop_traces_after(0)
        for half_of in (range(count // 2), range(count // 2, count)):
            half = new_folder(self.root, part_of(config, half_of))
            self.folders[half.path.name] = half
            self.pool.add(str(half.path))
        return Split(event.stack)


def new_folder(root: Path, config: StackConfig) -> StackFolder:
    """The folder of a stack that begins, with its config and without traces of an earlier try's crash."""
    identity = canonical({"keys": config["keys"], "engine": config["engine"]})
    folder = StackFolder.create(root, config["label"], identity)
    folder.write_config(config)
    folder.drop_traceback()
    return folder
