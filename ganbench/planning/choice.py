"""Which way of training a stack is predicted to be quickest, on which device."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Literal

import psutil

from ganbench.errors import BadInput, nearest
from ganbench.executors import CUDA_EXECUTORS
from ganbench.machine.gpus import Gpu
from ganbench.planning import cost
from ganbench.planning.cost import Cost
from ganbench.planning.devices import chosen_gpus
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EngineRecord, PlannedStack, way_of

STACK_SHARE = 0.6
"""Of the device's memory, the part that a stack may take."""
USABLE_SHARE = 0.9
"""Of a GPU's memory, what tables of data and a stack may take together; the rest is the framework's."""

EVALUATED_AT_ONCE = 16
"""Runs of a stack at most: each holds its samples on the GPU, which the budget of memory does not count."""


@dataclass(frozen=True)
class Settings:
    """What the user said about how to train.

    Arguments:
        device: "cpu" or "cuda".
        engine: "auto", "loop", or the name of an executor for mapped stacks.
        workers: processes that train at once: one a GPU.
        gpus: the GPUs to train on; none on a CPU.
    """

    device: str
    engine: str
    workers: int
    gpus: tuple[Gpu, ...] = ()

    @property
    def gpu_memory(self) -> float:
        """Bytes of the smallest GPU, for any stack may go to any of them; inf on a CPU."""
        return min((gpu.memory for gpu in self.gpus), default=math.inf)

    def allow(self, engine: EngineRecord | PlannedStack) -> bool:
        """Whether a stack that was begun with `engine` may go on."""
        return engine["device"] == self.device and self.engine in ("auto", way_of(engine))


@dataclass(frozen=True)
class Choice:
    """How the runs of one structure are trained. `seconds` are of one core, for all of them.

    Arguments:
        card: the model of GPU to train on, "" where any will do.
        why: why not by a better executor, "" where there is none.
    """

    mapper: Literal["map", "loop"]
    executor: str
    sizes: tuple[int, ...]
    seconds: float
    memory: int
    card: str = ""
    why: str = ""

    def record(self, settings: Settings, size: int) -> EngineRecord:
        """What is pinned in a stack's provenance."""
        record: EngineRecord = {
            "mapper": self.mapper,
            "executor": self.executor,
            "device": settings.device,
            "size": size,
            "threads": evaluating_threads(settings),
        }
        if self.card:
            record["card"] = self.card
        if self.why:
            record.update({"planned": CUDA_EXECUTORS[0], "why": self.why})
        return record


def evaluating_threads(settings: Settings) -> int:
    """Threads that evaluate the runs of a stack: one on a CPU, where each core has a worker."""
    if settings.device == "cpu":
        return 1
    return min(EVALUATED_AT_ONCE, max(1, cores() // settings.workers))


def settings(device: str | None, engine: str, workers: int | None, catalogue: Catalogue) -> Settings:
    """Defaults filled in: every GPU where there is one, a worker a core on a CPU, one a GPU.

    Fewer workers than GPUs take the first of them.
    """
    gpus = chosen_gpus(device)
    kind = "cuda" if gpus else "cpu"
    if gpus and workers:
        if workers > len(gpus):
            raise BadInput(f"--workers {workers}: each GPU has one worker; choose at most {len(gpus)}")
        gpus = gpus[:workers]
    engines = ["auto", "loop", *catalogue.names("executor")]
    if engine not in engines:
        raise BadInput(f"unknown engine {engine!r}; {nearest(engine, engines)}")
    if engine == "loop" and gpus:
        raise BadInput("the engine loop runs on a CPU only; choose an executor such as cuda-graph")
    if engine not in ("auto", "loop"):
        reason = catalogue.get("executor", engine).cls().available(kind)
        if reason:
            raise BadInput(f"engine {engine!r} cannot be used: {reason}")
    return Settings(kind, engine, workers or len(gpus) or cores(), gpus)


def cores() -> int:
    """Cores that this process may use."""
    # containers and taskset allow fewer cores than there are; macOS and Windows cannot say
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose(
    measured: Cost | None, runs: int, steps: int, pieces: int, settings: Settings, catalogue: Catalogue
) -> Choice:
    """The quickest way for `runs` runs of `steps` steps, by prediction; without a measurement, the loop.

    A loop gains nothing from a large stack, and a GPU without one is idle: there, runs are cut into `pieces`.
    """
    if measured is None:
        return Choice(*_plain(settings), tuple([1] * runs), 0.0, 0)
    names, why = _candidates(measured, settings, catalogue)
    options = [_option(name, measured, runs, steps, pieces, settings) for name in names]
    return replace(min(options, key=lambda option: option.seconds), why=why)


def _plain(settings: Settings) -> tuple[Literal["map", "loop"], str]:
    return ("loop", "eager") if settings.device == "cpu" else ("map", "eager")


def _candidates(measured: Cost, settings: Settings, catalogue: Catalogue) -> tuple[list[str], str]:
    """Ways to compare, and why a better one than all of them cannot be used."""
    if settings.engine != "auto":
        return [settings.engine], ""
    if settings.device == "cuda":
        return _first_available(settings.device, catalogue)
    compiled = catalogue.get("executor", "compiled").cls()
    # a mapped convolution is a grouped one, which CPUs are slower at than at the plain ones
    return (["loop"] if measured.convolutional or compiled.available("cpu") else ["loop", "compiled"]), ""


def _first_available(device: str, catalogue: Catalogue) -> tuple[list[str], str]:
    """The first of a GPU's executors that can be used, and why those before it cannot."""
    why: dict[str, str] = {}
    for name in CUDA_EXECUTORS:
        reason = catalogue.get("executor", name).cls().available(device)
        if reason is None:
            return [name], "; ".join(f"{before} cannot be used: {said}" for before, said in why.items())
        why[name] = reason
    raise AssertionError("the executor eager is always available")


def _option(name: str, measured: Cost, runs: int, steps: int, pieces: int, settings: Settings) -> Choice:
    cap = min(_memory_cap(measured, settings), _speed_cap(name, measured, settings))
    cut = pieces if name == "loop" or settings.gpus else 1
    sizes = tuple(cost.sizes(runs, cap, cut))
    memory = measured.memory(max(sizes))
    if name == "loop":
        return Choice("loop", "eager", sizes, runs * measured.looped(steps), memory)
    return Choice("map", name, sizes, sum(measured.mapped(steps, size) for size in sizes), memory)


def _speed_cap(name: str, measured: Cost, settings: Settings) -> int:
    if name == "loop":
        return 64
    if measured.convolutional:
        # mapped over runs, convolutions become grouped: slower on CPUs, where torch 2.15's compiler even dies
        # of them; said to be slow in cuDNN, unmeasured
        return 1
    return 1024 if settings.device == "cuda" else measured.cache_cap


def _memory_cap(measured: Cost, settings: Settings) -> int:
    # all there is, not what happens to be free: a suite is planned the same way every time
    if settings.gpus:
        memory = settings.gpu_memory
        room = min(STACK_SHARE * memory, USABLE_SHARE * memory - measured.tables)
    else:
        room = STACK_SHARE * psutil.virtual_memory().total / settings.workers
    return max(1, int(room / max(1, measured.run_memory)))
