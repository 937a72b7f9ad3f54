"""Running a plan: stacks to workers, events to observers and to whoever watches, failures to rows."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ganbench.components.kinds import Logger
from ganbench.errors import BadInput
from ganbench.judging.outcomes import Outcome
from ganbench.judging.run_rows import failed_rows, rejudge
from ganbench.planning.plan import Plan
from ganbench.plugins.discovery import Catalogue
from ganbench.running.live import Live
from ganbench.running.loggers import Loggers
from ganbench.running.pool import Pool
from ganbench.running.rejudge import still_own
from ganbench.storage.atomic import plain
from ganbench.storage.lock import FolderLock
from ganbench.storage.records import StackConfig, part_of
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock, write_lock
from ganbench.suites.load import canonical
from ganbench.text import stack_label

Event = dict[str, Any]


class Watcher(Protocol):
    """Whoever shows what happens."""

    def event(self, event: Mapping[str, Any], label: str) -> None:
        """Something happened to the stack of that label."""

    def warn(self, text: str) -> None:
        """Something to tell the user that stops nothing."""


@dataclass
class Session:
    """One run of a plan.

    Arguments:
        root: the suite's folder of results.
        loggers: whom to tell what happens, beside the observers.
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
        with FolderLock(self.root) as lock, Loggers(self.loggers, self.watcher.warn) as self._loggers:
            command = shlex.join(["ganbench", *sys.argv[1:]])
            kept = still_own(self.root, self.plan.suite.verdict)
            earlier = (read_lock(self.root) or {}).get("stacks") or ()
            suite = {**self.plan.lock(earlier), **kept, "command": command}
            write_lock(self.root, suite)
            self._loggers.tell("opened", self.root, suite)
            self._live = Live(self.root, suite)
            self._rejudge()
            self._folders = {folder.path.name: folder for folder in self._prepare()}
            self._refreshed = time.monotonic()
            try:
                self._follow(pool, pool.train([str(f.path) for f in self._folders.values()]), lock)
            except KeyboardInterrupt:
                self.interrupted = True
                self._follow(pool, pool.stop(), lock)
            finally:
                self._live.close()

    def _rejudge(self) -> None:
        """Verdicts of earlier runs by the thresholds that the suite has now."""
        for folder in stack_folders(self.root):
            finished = folder.status().get("state") == "finished"
            if finished and folder.config()["verdict"] != plain(self.plan.suite.verdict):
                rejudge(folder, self.plan.suite.verdict)

    def _prepare(self) -> Iterator[StackFolder]:
        """Folders of the resumed stacks, then of the new ones, the longest first."""
        for folder in self.plan.resumed:
            if folder.config()["verdict"] != plain(self.plan.suite.verdict):
                folder.write_config({**folder.config(), "verdict": self.plan.suite.verdict})
            yield folder
        for stack in sorted(self.plan.stacks, key=lambda stack: -stack.seconds):
            yield self._folder(stack.config)

    def _folder(self, config: Mapping[str, Any]) -> StackFolder:
        identity = canonical({"keys": config["keys"], "engine": config["engine"]})
        folder = StackFolder.create(self.root, config["label"], identity)
        folder.write_config(config)
        folder.drop_traceback()
        return folder

    def _follow(self, pool: Pool, events: Iterable[Event], lock: FolderLock) -> None:
        for event in events:
            folder = self._folders[event["stack"]]
            config = folder.config()
            if event["event"] == "out_of_memory":
                event = self._out_of_memory(pool, folder, config, event)
            elif event["event"] == "failed":
                event = self._failed(folder, config, event)
            self.watcher.event(event, stack_label(config["labels"]))
            self._live.event(event, config)
            self._observe(event, folder, config)
            if time.monotonic() - self._refreshed > 60:
                self._refreshed = time.monotonic()
                lock.refresh()

    def _failed(self, folder: StackFolder, config: Mapping[str, Any], event: Event) -> Event:
        rows = failed_rows(folder, Outcome(event.get("outcome", Outcome.CRASHED)), event["reason"])
        folder.write_runs(rows)
        folder.write_status({**folder.status(), "state": "crashed", "reason": event["reason"]})
        if event.get("traceback"):
            self.tracebacks.setdefault(event["reason"], folder.write_traceback(event["traceback"]))
        return {**event, "event": "finished", "rows": rows}

    def _out_of_memory(self, pool: Pool, folder: StackFolder, config: StackConfig, event: Event) -> Event:
        """Halve the stack and go on; a single run that does not fit has crashed."""
        count = len(config["seeds"])
        if count == 1:
            return self._failed(folder, config, {**event, "reason": f"out of memory: {event['reason']}"})
        folder.write_status({"state": "split"})
        folder.drop_checkpoint()
        folder.drop_traces_after(0)
        for half in (range(count // 2), range(count // 2, count)):
            smaller = self._folder(part_of(config, half))
            self._folders[smaller.path.name] = smaller
            pool.add(str(smaller.path))
        return {**event, "event": "split"}

    def _observe(self, event: Event, folder: StackFolder, config: Mapping[str, Any]) -> None:
        """Tell observer plugins and loggers. One that breaks is reported and changes nothing."""
        hook = self.catalogue.manager.hook
        stack = {
            "id": folder.path.name,
            "label": config["label"],
            "variants": config["labels"],
            "seeds": config["seeds"],
            "keys": config["keys"],
            "configs": config["variants"],
            "swept": config["swept"],
            "steps": config["variants"][0]["steps"],
            "engine": config["engine"],
            "folder": str(folder.path),
        }
        if event["event"] == "started":
            stack["step"] = event["step"]
            self._call(hook.ganbench_stack_started, stack=stack)
            self._loggers.tell("started", stack)
        elif event["event"] == "evaluated":
            self._call(hook.ganbench_evaluated, stack=stack, step=event["step"], rows=event["rows"])
            self._loggers.tell("evaluated", stack, event["step"], event["rows"])
        elif event["event"] == "finished":
            self._call(hook.ganbench_stack_finished, stack=stack, runs=event["rows"])
            self._loggers.tell("finished", stack, event["rows"])

    def _call(self, hook: Any, **arguments: Any) -> None:
        """Call one observer after another (pluggy would stop at the first that raises)."""
        for observer in reversed(hook.get_hookimpls()):
            try:
                observer.function(**{name: arguments[name] for name in observer.argnames})
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                self.watcher.warn(f"an observer of the plugin {observer.plugin_name!r} raised {what}")


def results_root(out: Path | None, suite: str) -> Path:
    """The folder of a suite's results: `out` if it is given, else results/<suite> here."""
    root = out or Path("results") / suite
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file: results need a folder")
    return root
