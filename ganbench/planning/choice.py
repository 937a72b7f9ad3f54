"""Which way of training a stack is predicted to be quickest, on which device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

from ganbench.errors import BadInput, nearest
from ganbench.executors import CUDA_EXECUTORS
from ganbench.planning import cost
from ganbench.planning.cost import Cost
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EngineRecord, PlannedStack

MEMORY_SHARE = 0.6
"""Of the device's memory, the part that stacks may take."""


@dataclass(frozen=True)
class Settings:
    """What the user said about how to train.

    Arguments:
        device: "cpu" or "cuda".
        engine: "auto", "loop", or the name of an executor for mapped stacks.
        workers: processes that train at once.
    """

    device: str
    engine: str
    workers: int

    def allow(self, engine: EngineRecord | PlannedStack) -> bool:
        """Whether a stack that was begun with `engine` may go on."""
        name = "loop" if engine["mapper"] == "loop" else engine["executor"]
        return engine["device"] == self.device and self.engine in ("auto", name)


@dataclass(frozen=True)
class Choice:
    """How the runs of one structure are trained. `seconds` are of one core, for all of them."""

    mapper: Literal["map", "loop"]
    executor: str
    sizes: tuple[int, ...]
    seconds: float
    memory: int

    def record(self, settings: Settings, size: int) -> EngineRecord:
        """What is pinned in a stack's provenance."""
        return {
            "mapper": self.mapper,
            "executor": self.executor,
            "device": settings.device,
            "size": size,
            "threads": 1,
        }


def settings(device: str | None, engine: str, workers: int | None, catalogue: Catalogue) -> Settings:
    """Defaults filled in: CUDA where there is one, a worker a core on a CPU, one on a GPU."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise BadInput(f"unknown device {device!r}; {nearest(device, ['cpu', 'cuda'])}")
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInput("no CUDA device is available on this machine; choose --device cpu")
    engines = ["auto", "loop", *catalogue.names("executor")]
    if engine not in engines:
        raise BadInput(f"unknown engine {engine!r}; {nearest(engine, engines)}")
    if engine == "loop" and device == "cuda":
        raise BadInput("the engine loop runs on a CPU only; choose an executor such as cuda-graph")
    if engine not in ("auto", "loop"):
        reason = catalogue.get("executor", engine).cls().available(device)
        if reason:
            raise BadInput(f"engine {engine!r} cannot be used: {reason}")
    return Settings(device, engine, workers or (cores() if device == "cpu" else 1))


def cores() -> int:
    """Cores that this process may use."""
    # containers and taskset allow fewer cores than there are; macOS and Windows cannot say
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose(
    measured: Cost | None, runs: int, steps: int, pieces: int, settings: Settings, catalogue: Catalogue
) -> Choice:
    """The quickest way for `runs` runs of `steps` steps, by prediction; without a measurement, the loop.

    A loop gains nothing from a large stack: it is cut into `pieces`, so that no worker stands idle.
    """
    if measured is None:
        return Choice(*_plain(settings), tuple([1] * runs), 0.0, 0)
    names = _candidates(measured, settings, catalogue)
    options = [_option(name, measured, runs, steps, pieces, settings) for name in names]
    return min(options, key=lambda option: option.seconds)


def _plain(settings: Settings) -> tuple[Literal["map", "loop"], str]:
    return ("loop", "eager") if settings.device == "cpu" else ("map", "eager")


def _candidates(measured: Cost, settings: Settings, catalogue: Catalogue) -> list[str]:
    if settings.engine != "auto":
        return [settings.engine]
    if settings.device == "cuda":
        return [CUDA_EXECUTORS[0]]
    compiled = catalogue.get("executor", "compiled").cls()
    # a mapped convolution is a grouped one, which CPUs are slower at than at the plain ones
    return ["loop"] if measured.convolutional or compiled.available("cpu") else ["loop", "compiled"]


def _option(name: str, measured: Cost, runs: int, steps: int, pieces: int, settings: Settings) -> Choice:
    cap = min(_memory_cap(measured, settings), _speed_cap(name, measured, settings))
    sizes = tuple(cost.sizes(runs, cap, pieces if name == "loop" else 1))
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
    if settings.device == "cuda":
        _, memory = torch.cuda.mem_get_info()
    else:
        memory = psutil.virtual_memory().total
    # all there is, not what happens to be free: a suite is planned the same way every time
    return max(1, int(memory * MEMORY_SHARE / settings.workers / max(1, measured.memory(1))))
