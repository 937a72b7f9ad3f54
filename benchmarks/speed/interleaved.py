"""Interleaved timing: A B A B …, so that a machine that slows down slows down both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch


@dataclass(frozen=True)
class Task:
    """Something to time.

    Arguments:
        run: takes that many steps (of every run), and does not come back before they are taken.
        runs: runs advanced by a step.
        unit: steps are taken in multiples of this.
    """

    run: Callable[[int], object]
    runs: int = 1
    unit: int = 1


def rounds(
    tasks: Sequence[Task], count: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Seed-steps per second of each task in each of `count` rounds of about `seconds` a task."""
    sizes = [_steps(task, seconds) for task in tasks]
    rates: list[list[float]] = [[] for _ in tasks]
    for _ in range(count):
        for task, steps, rate in zip(tasks, sizes, rates, strict=True):
            rate.append(task.runs * steps / clocked(task.run, steps, clock))
    return rates


def clocked(
    run: Callable[[int], object], steps: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds that `run(steps)` takes, whatever is still queued on a GPU included."""
    synchronize()
    begin = clock()
    run(steps)
    synchronize()
    return clock() - begin


def synchronize() -> None:
    """Wait for the GPU, where there is one at work."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _steps(task: Task, seconds: float) -> int:
    """How many steps fill the time, after a warm-up."""
    task.run(task.unit)
    needed = clocked(task.run, task.unit)
    return task.unit * max(1, round(seconds / needed))


@dataclass(frozen=True)
class Spread:
    """Median and extremes over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of a list that is not empty."""
        return cls(median(values), min(values), max(values))

    @classmethod
    def ratio(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """Of the quotients round by round."""
        return cls.of([a / b for a, b in zip(above, below, strict=True)])
