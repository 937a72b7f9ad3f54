"""Loggers of a session: chosen by `--log`, each called in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from ganbench.components.base import create
from ganbench.components.kinds import Logger
from ganbench.errors import BadInput, Problem
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import ObservedRow, RunRow, StackInfo, SuiteLock
from ganbench.suites.toml_file import toml_value
from ganbench.text import printable

CLOSE_SECONDS = 60.0
"""Time that loggers get at the end for the calls that are left."""
# Only a comma before "name=" separates options: values such as paths and lists may hold commas too.
_COMMA = re.compile(r",(?=\s*\w+\s*=)")


def chosen(given: Sequence[str], catalogue: Catalogue) -> list[Logger]:
    """The loggers that `--log` names: texts such as "tensorboard" or "tensorboard:folder=logs,traces=100".

    Raises BadInput where a name or an option is unknown, or where one cannot be used here.
    """
    return [_logger(text, catalogue) for text in given]


def _logger(text: str, catalogue: Catalogue) -> Logger:
    where = printable(f"--log {text}")
    name, _, listed = text.partition(":")
    try:
        cls = catalogue.get("logger", name).cls
    except BadInput as error:
        raise BadInput(Problem(where, printable(str(error)))) from None
    pairs = [pair.partition("=") for pair in _COMMA.split(listed)] if listed else []
    if any(not equals for _, equals, _ in pairs):
        raise BadInput(Problem(where, "must look like NAME or NAME:option=value,option=value"))
    logger = create(cls, {key.strip(): toml_value(value) for key, _, value in pairs}, where)
    unavailable = logger.available()
    if unavailable:
        raise BadInput(Problem(where, unavailable))
    return logger


class Loggers:
    """`with Loggers(loggers, warn) as loggers: loggers.started(stack)`; closed at the end.

    Each method queues a call of the same method of every logger. A logger that raises causes one warning; one
    that is too slow at the end is left behind.
    """

    def __init__(self, loggers: Sequence[Logger], warn: Callable[[str], None]) -> None:
        self._threads = [_LoggerThread(logger, warn) for logger in loggers]

    def __enter__(self) -> Loggers:
        return self

    def __exit__(self, *_: object) -> None:
        self._call("closed")
        for thread in self._threads:
            thread.join()

    def opened(self, root: Path, suite: SuiteLock) -> None:
        """A session begins."""
        self._call("opened", root, suite)

    def started(self, stack: StackInfo) -> None:
        """A stack begins or resumes."""
        self._call("started", stack)

    def evaluated(self, stack: StackInfo, step: int, rows: Sequence[ObservedRow]) -> None:
        """A stack was evaluated."""
        self._call("evaluated", stack, step, rows)

    def finished(self, stack: StackInfo, runs: Sequence[RunRow]) -> None:
        """A stack ended."""
        self._call("finished", stack, runs)

    def _call(self, method: str, *arguments: object) -> None:
        for thread in self._threads:
            thread.call(method, *arguments)


class _LoggerThread:
    """One logger, its thread, and the calls that wait.

    No `ThreadPoolExecutor`: Python joins its threads at exit, so that a logger that hangs would keep the
    process alive. A daemon thread can be left behind.
    """

    def __init__(self, logger: Logger, warn: Callable[[str], None]) -> None:
        self._logger, self._warn, self._warned = logger, warn, False
        # Unbounded: a slow logger costs memory, and never holds up the session.
        self._waiting: queue.SimpleQueue[tuple[str, tuple[object, ...]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"logger {logger.name}", daemon=True)
        self._thread.start()

    def call(self, method: str, *arguments: object) -> None:
        self._waiting.put((method, arguments))

    def join(self) -> None:
        """Wait for the calls that are left; not forever, and not against a further Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._warn(
                f"the logger {self._logger.name!r} is too slow: calls that it has not handled are dropped"
            )

    def _work(self) -> None:
        method = ""
        while method != "closed":
            method, arguments = self._waiting.get()
            try:
                getattr(self._logger, method)(*arguments)
            except (Exception, SystemExit) as error:  # a thread ends silently on SystemExit
                self._failed(method, error)

    def _failed(self, method: str, error: BaseException) -> None:
        if not self._warned:
            self._warned = True
            raised = f"{type(error).__name__}: {error}"
            self._warn(printable(f"the logger {self._logger.name!r} raised in {method}: {raised}", 1000))
