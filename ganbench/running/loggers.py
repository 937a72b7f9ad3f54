"""Loggers of a session: chosen by `--log`, each told of what happens in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ganbench.components.base import create
from ganbench.components.kinds import Logger
from ganbench.errors import BadInput, Problem
from ganbench.plugins.discovery import Catalogue
from ganbench.suites.toml_file import toml_value
from ganbench.text import printable

CLOSE_SECONDS = 60.0
"""Time that loggers get at the end to tell what is left."""
_COMMA = re.compile(r",(?=\s*\w+\s*=)")


def chosen(given: Sequence[str], catalogue: Catalogue) -> list[Logger]:
    """The loggers that texts such as "tensorboard" or "tensorboard:folder=logs,traces=100" stand for.

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
    logger: Logger = create(cls, {key.strip(): toml_value(value) for key, _, value in pairs}, where)
    lacks = logger.available()
    if lacks:
        raise BadInput(Problem(where, lacks))
    return logger


class Loggers:
    """`with Loggers(loggers, warn) as loggers: loggers.tell("started", stack)`; closed at the end.

    A logger that raises is warned of once, one that is too slow at the end is left behind.
    """

    def __init__(self, loggers: Sequence[Logger], warn: Callable[[str], None]) -> None:
        self._tellers = [_Teller(logger, warn) for logger in loggers]

    def __enter__(self) -> Loggers:
        return self

    def __exit__(self, *_: object) -> None:
        self.tell("closed")
        for teller in self._tellers:
            teller.end()

    def tell(self, method: str, *arguments: Any) -> None:
        """Have that method of every logger called with these arguments, soon."""
        for teller in self._tellers:
            teller.tell(method, *arguments)


class _Teller:
    """One logger, its thread, and what it has not been told yet."""

    def __init__(self, logger: Logger, warn: Callable[[str], None]) -> None:
        self._logger, self._warn, self._warned = logger, warn, False
        self._waiting: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"logger {logger.name}", daemon=True)
        self._thread.start()

    def tell(self, method: str, *arguments: Any) -> None:
        self._waiting.put((method, arguments))

    def end(self) -> None:
        """Wait until it was told all; not forever, and not against a further Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._warn(f"the logger {self._logger.name!r} is too slow: what it has not told yet is left out")

    def _work(self) -> None:
        method = ""
        while method != "closed":
            method, arguments = self._waiting.get()
            try:
                getattr(self._logger, method)(*arguments)
            except (Exception, SystemExit) as error:
                self._failed(method, error)

    def _failed(self, method: str, error: BaseException) -> None:
        if not self._warned:
            self._warned = True
            what = f"{type(error).__name__}: {error}"
            self._warn(printable(f"the logger {self._logger.name!r} raised in {method}: {what}", 1000))
