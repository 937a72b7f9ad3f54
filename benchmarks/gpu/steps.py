"""The steps, the most important first, and how each is run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.gpu.measures import COMMAND
from benchmarks.speed.machine import ROOT

LEAST = 5.0
"""Seconds that must be left for a step to begin."""


class End(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped at its limit"
    SKIPPED = "skipped: no time was left"


@dataclass(frozen=True)
class Step:
    """One step: a command whose output, or whose own file, is kept.

    Arguments:
        limit: seconds.
        file: its name in the folder of files.
        printed: whether the file is what the command prints; else the command writes it.
    """

    name: str
    limit: float
    file: str
    command: tuple[str, ...]
    printed: bool = False


@dataclass(frozen=True)
class Ended:
    """A step that was taken, and how it ended."""

    name: str
    end: End
    seconds: float
    limit: float


def steps(folder: Path, setting: str, device: str, stretch: float = 1.0) -> list[Step]:
    """All steps, the most important first. `stretch` multiplies their limits."""

    def measured(name: str, limit: float) -> Step:
        file = f"{name}.json"
        module = (sys.executable, "-m", "benchmarks.gpu.measures", name, setting, str(folder / file))
        return Step(name, limit * stretch, file, module)

    # repetition, memory and speed are steps of their own here
    doctor = (*COMMAND, "doctor", "--quick", "--json", "--device", device)
    junit = f"--junitxml={folder / 'tests.xml'}"
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", junit)
    tests = (*pytest, "-m", "gpu and not slow", *_tests_for_a_gpu())
    return [
        Step("doctor", 110 * stretch, "doctor.json", doctor, printed=True),
        measured("quickstart", 70),
        measured("rings", 120),
        measured("map", 80),
        measured("images", 90),
        Step("tests", 60 * stretch, "tests.xml", tests),
        measured("memory", 30),
        measured("bits", 60),
    ]


def _tests_for_a_gpu() -> list[str]:
    """The files with such tests: to collect all tests would take a good part of the time."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if "mark.gpu" in file.read_text(encoding="utf-8")]


def take(
    planned: Sequence[Step], folder: Path, seconds: float, say: Callable[[str], None]
) -> Iterator[Ended]:
    """Take the steps one after another, while time is left."""
    deadline = time.monotonic() + seconds
    for step in planned:
        limit = min(step.limit, deadline - time.monotonic())
        if limit < LEAST:
            ended = Ended(step.name, End.SKIPPED, 0.0, 0.0)
        else:
            say(f"{step.name}: at most {limit:.0f} s")
            ended = _take(step, folder, limit)
        say(f"{step.name}: {ended.end} ({ended.seconds:.0f} s)")
        yield ended


def _take(step: Step, folder: Path, limit: float) -> Ended:
    """One step in a session of its own, so that all that it started ends with it."""
    begun = time.monotonic()
    with ExitStack() as files:
        errors = files.enter_context((folder / f"{step.name}.log").open("wb"))
        out = files.enter_context((folder / step.file).open("wb")) if step.printed else errors
        process = subprocess.Popen(
            step.command, cwd=ROOT, stdout=out, stderr=errors, stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
        try:
            end = End.FAILED if process.wait(limit) else End.DONE
        except subprocess.TimeoutExpired:
            end = End.STOPPED
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Ended(step.name, end, time.monotonic() - begun, limit)
