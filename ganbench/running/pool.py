"""Worker processes that share the stacks: one single-threaded process a core, or one a GPU."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import wait

from ganbench.judging.outcomes import Outcome
from ganbench.machine.folders import program_variables
from ganbench.machine.gpus import Gpu
from ganbench.running.events import Failed, Last, Message, Started, WorkerEvent
from ganbench.running.waiting import Waiting
from ganbench.running.worker import HELD_BACK, main, own_group
from ganbench.storage.records import StackConfig

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Of every worker: one thread each."""
ON_CPU = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Inductor would otherwise start a pool of compilers, as many as there are cores, in each worker. On a GPU it
may: there are few workers, with many kernels to compile."""
ON_GPU = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""With it, cuBLAS gives the same sums every time."""
STOP_SECONDS = 60.0
"""Time that workers get to write their checkpoints."""


class Pool:
    """`with Pool(2, plugins) as pool: for event in pool.train(folders): ...`

    A worker that dies gives the event `Failed` for what it trained. So does one that takes longer than
    `timeout` seconds for a stack. One that has ended, or says that it will, is replaced for the next stack.
    A program is compiled by one worker: see `Waiting.choose`.

    Arguments:
        gpus: one for each worker; none on a CPU.
    """

    def __init__(
        self, workers: int, plugin_files: Sequence[str], timeout: float = math.inf, gpus: Sequence[Gpu] = ()
    ) -> None:
        self._places: list[Gpu | None] = list(gpus) or [None] * workers
        self._plugins, self._timeout = list(plugin_files), timeout
        self._cards = {gpu.name for gpu in gpus}
        self._workers: list[_Worker] = []
        self._waiting = Waiting()
        self._prepared: set[str] = set()

    def __enter__(self) -> Pool:
        self._workers = [_Worker(self._plugins, gpu) for gpu in self._places]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.close()

    def add(self, path: str) -> None:
        """Queue a further stack."""
        self._waiting.add(path)

    def train(self, paths: Sequence[str]) -> Iterator[WorkerEvent]:
        """Events until every stack ended. `add` may be called on the way."""
        for path in paths:
            self._waiting.add(path)
        self._hand_out()
        while busy := self._busy():
            # wakes up every second, so that the timeout is at most that late
            yield from self._received(busy, seconds=1.0)
            self._kill_late(busy)
            self._hand_out()

    def stop(self) -> Iterator[WorkerEvent]:
        """Ask all workers to stop where they can go on later. Events until they did."""
        self._waiting.clear()
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while (busy := self._busy()) and time.monotonic() < deadline:
            yield from self._received(busy, seconds=0.2)

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.path]

    def _hand_out(self) -> None:
        for worker in [worker for worker in self._workers if not worker.path]:
            program = self._next_program(worker)
            if program is not None:
                # one that has ended would take the stack along
                ready = worker if worker.stays else self._replace(worker)
                ready.send(self._waiting.take(program), program)

    def _next_program(self, worker: _Worker) -> str | None:
        others = [other for other in self._workers if other is not worker and other.stays]
        in_preparation = {other.program for other in others if other.path} - self._prepared
        elsewhere = {other.program for other in others}

        def may_train(config: StackConfig) -> bool:
            """Whether its GPU is of the model that the stack is for; any will do if there is none of it."""
            card = config["engine"].get("card") if worker.gpu and len(self._cards) > 1 else None
            return card not in self._cards or (worker.gpu is not None and card == worker.gpu.name)

        return self._waiting.choose(
            worker.program if worker.stays else "", elsewhere, in_preparation, may_train
        )

    def _kill_late(self, busy: Sequence[_Worker]) -> None:
        """Kill workers that take too long; their pipes then end, which `_receive` sees."""
        for worker in busy:
            # SIGKILL: a worker heeds SIGTERM only between chunks, which one that hangs never reaches
            if worker.path and not worker.late and time.monotonic() - worker.since > self._timeout:
                worker.late = True
                worker.signal(signal.SIGKILL)

    def _received(self, busy: Sequence[_Worker], seconds: float) -> Iterator[WorkerEvent]:
        """What workers sent; waits at most that long for the first."""
        for pipe in wait([worker.pipe for worker in busy], timeout=seconds):
            yield self._receive(next(worker for worker in busy if worker.pipe is pipe))

    def _receive(self, worker: _Worker) -> WorkerEvent:
        """The worker's next event."""
        try:
            message: Message = worker.pipe.recv()
        except (EOFError, OSError):
            message = Message(self._death_of(worker), leaving=True)
        if isinstance(message.event, Started):
            self._prepared.add(worker.program)
        if isinstance(message.event, Last):
            worker.path = ""
        worker.leaving = message.leaving
        return message.event

    def _death_of(self, worker: _Worker) -> Failed:
        stack = os.path.basename(worker.path)
        if worker.late:
            reason = f"the stack took longer than {self._timeout:g} s and was stopped"
            return Failed(stack, reason, outcome=Outcome.TIMED_OUT)
        return Failed(stack, worker.obituary())

    def _replace(self, worker: _Worker) -> _Worker:
        worker.close()  # a GPU may be closed to a second process while the first has it
        new = _Worker(self._plugins, worker.gpu)
        self._workers[self._workers.index(worker)] = new
        return new


class _Worker:
    """A process, its pipe, the GPU that it has, and the folder that it trains ("" where it waits).

    `program`: the one of its last stack, by `program_key`; it keeps what it prepared of it.
    `late`: it was killed for taking too long; `leaving`: it takes no further stack.
    """

    def __init__(self, plugin_files: list[str], gpu: Gpu | None) -> None:
        # A forked process could not use CUDA, and would inherit locks that threads of this one hold.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.path, self.program, self.since, self.gpu = "", "", 0.0, gpu
        self.late = self.leaving = False
        with _environment(gpu):
            self.process = context.Process(target=main, args=(theirs, plugin_files, gpu), daemon=True)
            # Starting the resource tracker sets the mask to none: it must run before the mask is set here.
            resource_tracker.ensure_running()
            # A worker loads libraries for seconds before it can handle signals; SIGTERM would kill it in that
            # time, and its stack would count as crashed. So it is born with them blocked, for a mask is
            # inherited: they wait, and arrive when `main` has its handlers and lifts the mask.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            self.process.start()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # The worker does this too. Either may come first, and Ctrl-C must not reach it before.
        own_group(self.process.pid or 0)
        # This end must be closed here: while any process holds it, the death of the worker is no EOFError.
        theirs.close()

    @property
    def stays(self) -> bool:
        """Whether it can train a further stack."""
        return not self.leaving and self.process.is_alive()

    def send(self, path: str, program: str) -> None:
        """Have it train the stack in that folder."""
        self.path, self.program, self.since = path, program, time.monotonic()
        with contextlib.suppress(OSError):  # it died while it waited: the next `recv` fails
            self.pipe.send(path)

    def signal(self, number: int) -> None:
        """Send a signal to it and to the processes that it started, such as compilers."""
        pid = self.process.pid
        if not pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(pid, number)
            except ProcessLookupError:  # it does not lead its group yet
                os.kill(pid, number)

    def obituary(self) -> str:
        """How the worker died, such as "the worker process was killed by signal SIGKILL"."""
        self.process.join(5.0)  # the pipe ends a little before the process
        code = self.process.exitcode
        how = (
            f"was killed by signal {signal.Signals(-code).name}"
            if code and code < 0
            else f"exited with {code}"
        )
        return f"the worker process {how}"

    def close(self) -> None:
        """End the worker: ask it first, then send SIGTERM, then SIGKILL."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        # a worker that trains does not look at its pipe: waiting for it would be in vain
        self.process.join(2.0 if not self.path else 0.1)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.is_alive():
                self.signal(number)
                self.process.join(2.0)
        self.pipe.close()


@contextlib.contextmanager
def _environment(gpu: Gpu | None) -> Iterator[None]:
    """What a worker inherits: it must be set before its libraries load."""
    # To the worker its GPU is the only one, and the first.
    own = ON_CPU if gpu is None else {**ON_GPU, "CUDA_VISIBLE_DEVICES": gpu.visible}
    changed = ENVIRONMENT | own | program_variables()
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
