"""One worker: trains stacks that it is told to, and tells what happens. Runs in a process of its own."""

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
from typing import Any

HELD_BACK = (signal.SIGINT, signal.SIGTERM)
"""Signals that a worker is started with blocked, until it can hear them."""


def main(pipe: Connection, plugin_files: Sequence[str]) -> None:
    """Train the folders that come through the pipe, until None comes. SIGTERM: stop at the next chunk.

    The process leads a group of its own, so that Ctrl-C reaches only the process that the user started.
    """
    own_group(0)
    parent = os.getppid()
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def stop() -> bool:
        if os.getppid() != parent:
            os._exit(1)  # who started this was killed; another may own the folder by now: write nothing
        return bool(stopping)

    sys.stdout = sys.stderr  # what a component prints must not mix with the table
    import torch

    from ganbench.engine.data import Sources
    from ganbench.plugins.discovery import discover

    torch.set_num_threads(1)
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns of absent CUDA
    catalogue = discover(plugin_files)
    train = Trainer(catalogue, Sources(catalogue), pipe.send, stop)
    with contextlib.suppress(EOFError):  # who started this is gone
        while (path := pipe.recv()) is not None:
            if stopping:
                pipe.send({"event": "stopped", "stack": Path(path).name})
            else:
                train(Path(path))


def own_group(pid: int) -> None:
    """Make a process (0: this one) the leader of a group of its own."""
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)


class Trainer:
    """Trains one stack after another and turns whatever happens into events."""

    def __init__(
        self, catalogue: Any, sources: Any, send: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
    ) -> None:
        self._catalogue, self._sources, self._send, self._stop = catalogue, sources, send, stop

    def __call__(self, path: Path) -> None:
        """Train the stack in the folder `path`. The last event is finished, failed, split or stopped."""
        from ganbench.engine.train import StackTraining
        from ganbench.engine.trainers import is_out_of_memory
        from ganbench.running.crash_reason import crash_reason
        from ganbench.storage.stack_folder import StackFolder

        folder = StackFolder(path)

        def tell(event: dict[str, Any]) -> None:
            self._send({**event, "stack": path.name})

        try:
            StackTraining(folder, self._catalogue, self._sources, tell, self._stop).run()
        except Exception as error:
            if is_out_of_memory(error):
                tell({"event": "out_of_memory", "reason": str(error).partition("\n")[0]})
                return
            reason = crash_reason(error, folder.config()["variants"][0], self._catalogue)
            tell({"event": "failed", "reason": reason, "traceback": traceback.format_exc()})
        else:
            if folder.status().get("state") != "finished":
                tell({"event": "stopped"})
