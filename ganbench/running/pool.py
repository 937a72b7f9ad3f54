"""Worker processes that share the stacks: one single-threaded process a core."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from ganbench.judging.outcomes import Outcome
from ganbench.running import worker

Event = dict[str, Any]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
STOP_SECONDS = 60.0
"""Time that workers get to write their checkpoints."""


class Pool:
    """`with Pool(2, plugins) as pool: for event in pool.train(folders): ...`

    Each event names its stack by the name of its folder. A worker that dies gives the event "failed" for
    what it trained, and is replaced. So is one that takes longer than `timeout` seconds for a stack.
    """

    def __init__(self, workers: int, plugin_files: Sequence[str], timeout: float = math.inf) -> None:
        self._size, self._plugins, self._timeout = workers, list(plugin_files), timeout
        self._workers: list[_Worker] = []
        self._waiting: deque[str] = deque()

    def __enter__(self) -> Pool:
        self._workers = [self._start() for _ in range(self._size)]
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._workers:
            one.close()

    def add(self, path: str) -> None:
        """One more stack to train."""
        self._waiting.append(path)

    def train(self, paths: Sequence[str]) -> Iterator[Event]:
        """Events until every stack ended. `add` may be called on the way."""
        self._waiting.extend(paths)
        self._hand_out()
        while busy := [one for one in self._workers if one.path]:
            for pipe in wait([one.pipe for one in busy], timeout=1.0):
                one = next(one for one in busy if one.pipe is pipe)
                yield self._heard(one)
            self._give_up(busy)
            self._hand_out()

    def stop(self) -> Iterator[Event]:
        """Ask all workers to stop where they can go on later. Events until they did."""
        self._waiting.clear()
        for one in self._workers:
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while (busy := [one for one in self._workers if one.path]) and time.monotonic() < deadline:
            for pipe in wait([one.pipe for one in busy], timeout=0.2):
                yield self._heard(next(one for one in busy if one.pipe is pipe))

    def _hand_out(self) -> None:
        for one in self._workers:
            if self._waiting and not one.path:
                one.send(self._waiting.popleft())

    def _give_up(self, busy: Sequence[_Worker]) -> None:
        """Kill whoever takes too long; its pipe will tell."""
        for one in busy:
            if one.path and not one.late and time.monotonic() - one.since > self._timeout:
                one.late = True
                one.signal(signal.SIGKILL)

    def _heard(self, one: _Worker) -> Event:
        try:
            event: Event = one.pipe.recv()
        except (EOFError, OSError):
            late = f"the stack took longer than {self._timeout:g} s and was stopped"
            event = {
                "event": "failed",
                "stack": os.path.basename(one.path),
                "outcome": Outcome.TIMED_OUT if one.late else Outcome.CRASHED,
                "reason": late if one.late else one.obituary(),
            }
            self._workers[self._workers.index(one)] = self._start()
        if event["event"] in ("finished", "failed", "out_of_memory", "stopped"):
            one.path = ""
        return event

    def _start(self) -> _Worker:
        return _Worker(self._plugins)


class _Worker:
    """A process, its pipe, and what it trains ("" where it waits)."""

    def __init__(self, plugin_files: list[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.path, self.since, self.late = "", 0.0, False
        with _environment():
            self.process = context.Process(target=worker.main, args=(theirs, plugin_files), daemon=True)
            resource_tracker.ensure_running()  # it lifts the mask when it is first started
            # a worker inherits the mask, and lifts it when it can be told to stop
            before = signal.pthread_sigmask(signal.SIG_BLOCK, worker.HELD_BACK)
            self.process.start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker.own_group(self.process.pid or 0)  # the worker does it too: whoever comes first
        theirs.close()

    def send(self, path: str) -> None:
        """Have it train the stack in that folder."""
        self.path, self.since = path, time.monotonic()
        with contextlib.suppress(OSError):  # it died while it waited: `recv` will tell
            self.pipe.send(path)

    def signal(self, number: int) -> None:
        """Send a signal to it and to whatever it started."""
        pid = self.process.pid
        if not pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(pid, number)
            except ProcessLookupError:  # it does not lead its group yet
                os.kill(pid, number)

    def obituary(self) -> str:
        """How it died."""
        self.process.join(5.0)
        code = self.process.exitcode
        how = (
            f"was killed by signal {signal.Signals(-code).name}"
            if code and code < 0
            else f"exited with {code}"
        )
        return f"the worker process {how}"

    def close(self) -> None:
        """End it: politely, then not."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(2.0 if not self.path else 0.1)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.is_alive():
                self.signal(number)
                self.process.join(2.0)
        self.pipe.close()


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """One thread a worker: must be set before its libraries load."""
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
