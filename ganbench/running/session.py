"""Running a plan: workers train what is left of it; users, plugins and loggers get the events."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ganbench.components.kinds import Logger
from ganbench.errors import BadInput
from ganbench.judging.run_rows import rejudge
from ganbench.planning.plan import Plan
from ganbench.plugins.discovery import Catalogue
from ganbench.running.dispatch import Dispatcher, Watcher, new_folder
from ganbench.running.live import Live
from ganbench.running.loggers import Loggers
from ganbench.running.observers import Observers
from ganbench.running.pool import Pool
from ganbench.running.rejudge import still_own
from ganbench.storage.atomic import plain
from ganbench.storage.lock import FolderLock
from ganbench.storage.records import SuiteLock
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import lock_in, write_lock


@dataclass
class Session:
    """One run of a plan.

    Arguments:
        root: the suite's folder of results.
        loggers: chosen by the user; observer plugins hear the same.
        interrupted: whether Ctrl-C ended it.
        tracebacks: reason of a crash -> where its traceback lies, of the first stack that crashed so.
    """

    plan: Plan
    catalogue: Catalogue
    root: Path
    watcher: Watcher
    loggers: Sequence[Logger] = ()
    interrupted: bool = False
    tracebacks: dict[str, Path] = field(default_factory=dict)

    def run(self, pool: Pool) -> None:
        """Train what is left. Ctrl-C leaves everything resumable and sets `interrupted`."""
        # Loggers inside the lock: they may still write into the folder while they close.
        with FolderLock(self.root) as lock, Loggers(self.loggers, self.watcher.warn) as loggers:
            suite = self._suite()
            write_lock(self.root, suite)
            loggers.opened(self.root, suite)
            self._rejudge()
            folders = {folder.path.name: folder for folder in self._prepare()}
            observers = Observers(self.catalogue.manager, loggers, self.watcher.warn)
            live = Live(self.root, suite)
            dispatcher = Dispatcher(
                self.root, pool, self.watcher, live, observers, lock, folders, self.tracebacks
            )
            try:
                dispatcher.follow(pool.train([str(folder.path) for folder in folders.values()]))
            except KeyboardInterrupt:
                self.interrupted = True
                dispatcher.follow(pool.stop())
            finally:
                live.close()  # else the next session would show these stacks until its first event

    def _suite(self) -> SuiteLock:
        """The resolved suite as the folder keeps it."""
        suite_thresholds = still_own(self.root, self.plan.suite.verdict)
        planned = self.plan.lock(lock_in(self.root).get("stacks", ()))
        command = shlex.join(["ganbench", *sys.argv[1:]])
        return cast(SuiteLock, {**planned, **suite_thresholds, "command": command})

    def _rejudge(self) -> None:
        """Verdicts of earlier runs by the thresholds that the suite has now."""
        for folder in stack_folders(self.root):
            finished = folder.status().get("state") == "finished"
            if finished and folder.config()["verdict"] != plain(self.plan.suite.verdict):
                rejudge(folder, self.plan.suite.verdict)

    def _prepare(self) -> Iterator[StackFolder]:
        """Folders of the resumed stacks, then of the new ones, the longest first.

        So the last stacks are short ones: few workers wait for them at the end.
        """
        for folder in self.plan.resumed:
            if folder.config()["verdict"] != plain(self.plan.suite.verdict):
                folder.write_config({**folder.config(), "verdict": self.plan.suite.verdict})
            yield folder
        for stack in sorted(self.plan.stacks, key=lambda stack: -stack.seconds):
            yield new_folder(self.root, stack.config)


def results_root(out: Path | None, suite: str) -> Path:
    """The folder of a suite's results: `out` if it is given, else results/<suite> here."""
    root = out or Path("results") / suite
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file: results need a folder")
    return root
