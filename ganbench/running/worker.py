"""One worker: trains the stacks that it is sent, and sends events back. Runs in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
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
    Message,
    OutOfMemory,
    Progress,
    Started,
    Stopped,
    WorkerEvent,
)

if TYPE_CHECKING:
    from ganbench.engine.data import Sources
    from ganbench.machine.gpus import Gpu
    from ganbench.plugins.discovery import Catalogue
    from ganbench.storage.records import ObservedRow, RunRow, StackConfig
    from ganbench.storage.stack_folder import StackFolder

HELD_BACK = (signal.SIGINT, signal.SIGTERM)
"""Signals that a worker is started with blocked, until its handlers are in place."""
PARENT_SECONDS = 1.0
"""Time between looks at whether the session still runs."""


def main(pipe: Connection, plugin_files: Sequence[str], gpu: Gpu | None = None) -> None:
    """Train the folders that come through the pipe, until None comes. SIGTERM: stop at the next chunk.

    A worker on a GPU ends when something has gone wrong: see `StackWorker.spent`.

    The process leads a group of its own, so that Ctrl-C reaches only the process that the user started.
    """
    own_group(0)
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # The handler only takes note: were it to raise, it could break off a write.
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def stop() -> bool:
        _end_without(parent)
        return bool(stopping)

    sys.stdout = sys.stderr  # what a component prints must not mix with the table
    # Imported only now: torch takes seconds, in which signals must already be handled.
    import torch

    from ganbench.engine.data import Sources
    from ganbench.plugins.discovery import discover

    torch.set_num_threads(1)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns of absent CUDA
    catalogue = discover(plugin_files)

    def send(event: WorkerEvent) -> None:
        pipe.send(Message(event, leaving=worker.spent))

    worker = StackWorker(catalogue, Sources(catalogue), send, stop, gpu)
    with contextlib.suppress(EOFError):  # the session is gone
        while not worker.spent and (path := pipe.recv()) is not None:
            if stopping:
                send(Stopped(Path(path).name))
            else:
                worker.train(Path(path))


def _end_with(parent: int) -> None:
    """End this process soon after its parent, also while a step compiles: that may take a minute."""
    while True:
        _end_without(parent)
        time.sleep(PARENT_SECONDS)


def _end_without(parent: int) -> None:
    """End if the session was killed: another may own the folder by now, so nothing more is written."""
    if os.getppid() != parent:
        os._exit(1)


def own_group(pid: int) -> None:
    """Make a process (0: this one) the leader of a group of its own."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


class StackWorker:
    """Trains one stack after another and sends whatever happens as events.

    Arguments:
        gpu: the one to train on, None on a CPU.
        spent: whether the process must not train another stack. So it is on a GPU after an exception: what a
            kernel broke stays broken for the process, and a capture that failed keeps its memory. It is known
            when the last event of a stack is sent.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        sources: Sources,
        send: Callable[[WorkerEvent], None],
        stop: Callable[[], bool],
        gpu: Gpu | None = None,
    ) -> None:
        from ganbench.engine.build import Builder

        self._catalogue, self._sources, self._send, self._stop = catalogue, sources, send, stop
        self._builder = Builder(catalogue, sources)
        self._gpu = gpu
        self.spent = False

    def train(self, path: Path) -> None:
        """Train the stack in the folder `path`. The last event is of type `Last`."""
        from ganbench.storage.stack_folder import StackFolder

        folder = StackFolder(path)
        planned = folder.config()["engine"]
        last = self._train(folder)
        if planned["device"] == "cuda":
            # trained otherwise than planned: an executor raised, and others were tried after it
            another_way = folder.config()["engine"].get("why") != planned.get("why")
            self.spent = isinstance(last, Failed | OutOfMemory) or another_way
        self._send(last)

    def _train(self, folder: StackFolder) -> Last:
        from ganbench.engine.train import train_stack
        from ganbench.engine.trainers import is_out_of_memory
        from ganbench.planning.crash_reason import crash_reason
        from ganbench.text import first_line

        stack = folder.path.name
        observer = _Sender(stack, self._send)
        try:
            train_stack(folder, self._catalogue, self._builder, observer, self._stop, self._gpu)
        except Exception as error:
            self._builder.forget()  # what was prepared may be what failed, and holds memory
            config = folder.config()
            if is_out_of_memory(error):
                return OutOfMemory(stack, "; ".join([first_line(error), *self._what_takes_memory(config)]))
            reason = crash_reason(error, config["variants"][0], self._catalogue)
            return Failed(stack, reason, traceback.format_exc())  # text: a traceback cannot be pickled
        return observer.last

    def _what_takes_memory(self, config: StackConfig) -> list[str]:
        """For a stack of one run, which cannot be halved: how much the parts of it take."""
        from ganbench.engine.memory import memory_report

        if len(config["seeds"]) > 1:
            return []
        try:
            return [memory_report(config, self._catalogue, self._sources, self._gpu)]
        except Exception:  # there may be no memory left for this either
            return []


class _Sender:
    """A `ganbench.engine.observer.Observer` that sends events about one stack. It keeps the last."""

    def __init__(self, stack: str, send: Callable[[WorkerEvent], None]) -> None:
        self._stack, self._send = stack, send
        self.last: Last = Stopped(stack)

    def started(self, step: int, steps: int) -> None:
        self._send(Started(self._stack, step, steps))

    def progress(self, step: int, steps: int, died: Sequence[int]) -> None:
        self._send(Progress(self._stack, step, steps, died))

    def evaluated(self, step: int, rows: Sequence[ObservedRow]) -> None:
        self._send(Evaluated(self._stack, step, rows))

    def finished(self, rows: Sequence[RunRow]) -> None:
        self.last = Finished(self._stack, rows)
