"""One worker: trains the stacks that it is sent, and sends events back. Runs in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from ganbench.running.events import (
    Evaluated,
    Failed,
    Finished,
    Last,
    OutOfMemory,
    Progress,
    Started,
    Stopped,
    WorkerEvent,
)

if TYPE_CHECKING:
    from ganbench.engine.data import Sources
    from ganbench.plugins.discovery import Catalogue
    from ganbench.storage.records import ObservedRow, RunRow

HELD_BACK = (signal.SIGINT, signal.SIGTERM)
"""Signals that a worker is started with blocked, until its handlers are in place."""


def main(pipe: Connection, plugin_files: Sequence[str]) -> None:
    """Train the folders that come through the pipe, until None comes. SIGTERM: stop at the next chunk.

    The process leads a group of its own, so that Ctrl-C reaches only the process that the user started.
    """
    own_group(0)
    parent = os.getppid()
    # The handler only takes note: were it to raise, it could break off a write.
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def stop() -> bool:
        if os.getppid() != parent:
            os._exit(1)  # the session was killed; another may own the folder by now: write nothing
        return bool(stopping)

    sys.stdout = sys.stderr  # what a component prints must not mix with the table
    # Imported only now: torch takes seconds, in which signals must already be handled.
    import torch

    from ganbench.engine.data import Sources
    from ganbench.plugins.discovery import discover

    torch.set_num_threads(1)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns of absent CUDA
    catalogue = discover(plugin_files)
    worker = StackWorker(catalogue, Sources(catalogue), pipe.send, stop)
    with contextlib.suppress(EOFError):  # the session is gone
        while (path := pipe.recv()) is not None:
            if stopping:
                pipe.send(Stopped(Path(path).name))
            else:
                worker.train(Path(path))


def own_group(pid: int) -> None:
    """Make a process (0: this one) the leader of a group of its own."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


class StackWorker:
    """Trains one stack after another and sends whatever happens as events."""

    def __init__(
        self,
        catalogue: Catalogue,
        sources: Sources,
        send: Callable[[WorkerEvent], None],
        stop: Callable[[], bool],
    ) -> None:
        from ganbench.engine.build import Builder

        self._catalogue, self._send, self._stop = catalogue, send, stop
        self._builder = Builder(catalogue, sources)

    def train(self, path: Path) -> None:
        """Train the stack in the folder `path`. The last event is of type `Last`."""
        last = self._train(path)
        if last is not None:
            self._send(last)

    def _train(self, path: Path) -> Last | None:
        """The last event; None where the observer has sent it: the stack finished."""
        from ganbench.engine.train import train_stack
        from ganbench.engine.trainers import is_out_of_memory
        from ganbench.running.crash_reason import crash_reason
        from ganbench.storage.stack_folder import StackFolder
        from ganbench.text import first_line

        folder = StackFolder(path)
        observer = _Sender(path.name, self._send)
        try:
            finished = train_stack(folder, self._catalogue, self._builder, observer, self._stop)
        except Exception as error:
            self._builder.forget()  # what was prepared may be what failed, and holds memory
            if is_out_of_memory(error):
                return OutOfMemory(path.name, first_line(error))
            reason = crash_reason(error, folder.config()["variants"][0], self._catalogue)
            return Failed(path.name, reason, traceback.format_exc())  # text: a traceback cannot be pickled
        return None if finished else Stopped(path.name)


class _Sender:
    """A `ganbench.engine.observer.Observer` that sends events about one stack."""

    def __init__(self, stack: str, send: Callable[[WorkerEvent], None]) -> None:
        self._stack, self._send = stack, send

    def started(self, step: int, steps: int) -> None:
        self._send(Started(self._stack, step, steps))

    def progress(self, step: int, steps: int, died: Sequence[int]) -> None:
        self._send(Progress(self._stack, step, steps, died))

    def evaluated(self, step: int, rows: Sequence[ObservedRow]) -> None:
        self._send(Evaluated(self._stack, step, rows))

    def finished(self, rows: Sequence[RunRow]) -> None:
        self._send(Finished(self._stack, rows))
