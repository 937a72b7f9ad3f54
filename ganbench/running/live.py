"""live.json: what a session is training just now, for `ganbench watch`. Only the session writes it.

It holds nothing that is not in the rows too, or will be: it is removed at the session's end, and what it
says counts only while the folder's lock is held.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import cast

import numpy as np

from ganbench.running.events import Evaluated, Finished, Progress, SessionEvent, Split, Started, Stopped
from ganbench.storage.atomic import read_json, write_json
from ganbench.storage.records import (
    EngineRecord,
    LiveRecord,
    LiveTraining,
    ObservedRow,
    StackConfig,
    SuiteLock,
    way_of,
)

NAME = "live.json"
SECONDS = 1.0
"""Time between writes, but for stacks that begin or end."""


class Live:
    """Keeps live.json up to date.

    Arguments:
        root: the suite's folder of results.
        suite: the resolved suite, as in suite.lock.json.
    """

    def __init__(self, root: Path, suite: SuiteLock) -> None:
        self._path, self._costs, self._written = root / NAME, costs(suite), 0.0
        self._began: float | None = None
        self._run_steps, self._work = 0, 0.0
        self._training: dict[str, LiveTraining] = {}
        self._fallbacks: dict[tuple[str, str, str], int] = {}

    def event(self, event: SessionEvent, config: StackConfig) -> None:
        """Something happened to the stack of that config."""
        # The file has wall-clock time, for another process reads it. Intervals are measured by the monotonic
        # clock, which does not jump when the time is set.
        name, now = event.stack, time.time()
        match event:
            case Started(step=step, steps=steps):
                self._began = self._began or now
                self._training[name] = _begun(step, steps, now)
                self._note_way(config["engine"])
            case Progress(step=step, died=died):
                self._move(name, step, config)
                self._training[name]["died"] = {str(run): at for run, at in enumerate(died) if at}
            case Evaluated(step=step, rows=rows):
                self._move(name, step, config)
                self._training[name].update({"evaluated": step, "metrics": spread(rows)})
            case Finished(rows=runs) if name in self._training:
                self._move(name, max(row["steps"] for row in runs), config)
                del self._training[name]
            case Finished() | Split() | Stopped():  # may have failed before it started
                self._training.pop(name, None)
        moved = isinstance(event, Progress | Evaluated)
        if not moved or time.monotonic() - self._written > SECONDS:
            self._write(now)

    def close(self) -> None:
        """Remove live.json: the session ends."""
        self._path.unlink(missing_ok=True)

    def _note_way(self, engine: EngineRecord) -> None:
        if "why" in engine:
            way = (way_of(engine), engine.get("planned", ""), engine["why"])
            self._fallbacks[way] = self._fallbacks.get(way, 0) + 1

    def _move(self, name: str, step: int, config: StackConfig) -> None:
        # never back: where all runs failed, their rows end before the chunk that the stack had reached
        steps = max(0, step - self._training[name]["step"])
        self._training[name]["step"] += steps
        self._run_steps += steps * len(config["keys"])
        self._work += steps * sum(self._costs.get(key, 0.0) for key in config["keys"])

    def _write(self, now: float) -> None:
        self._written = time.monotonic()
        record: LiveRecord = {
            "time": now,
            "began": self._began,
            "run_steps": self._run_steps,
            "work": self._work,
            "training": self._training,
            "fallbacks": [
                {"stacks": stacks, "executor": executor, "planned": planned, "reason": reason}
                for (executor, planned, reason), stacks in self._fallbacks.items()
            ],
        }
        with contextlib.suppress(OSError):  # no run is worth less because nobody could watch it
            write_json(self._path, record)


def _begun(step: int, steps: int, now: float) -> LiveTraining:
    """A stack that begins or resumes at `step`."""
    return {
        "from": step,
        "since": now,
        "step": step,
        "steps": steps,
        "died": {},
        "evaluated": None,
        "metrics": {},
    }


def read_live(root: Path) -> LiveRecord | None:
    """What a session wrote last to `root`/live.json; None where nothing is there or it is unreadable."""
    return cast(LiveRecord | None, read_json(root / NAME)[0])


def costs(suite: SuiteLock) -> dict[str, float]:
    """Run key -> predicted seconds of one of its steps, on one core; equal for all where unknown."""
    steps = {variant["label"]: variant["config"]["steps"] for variant in suite["variants"]}
    by_key = {key: steps[label] for key, label in zip(suite["keys"], suite["labels"], strict=True)}
    predicted = {
        key: stack["seconds"] / len(stack["keys"]) / by_key[key]
        for stack in suite["stacks"]
        for key in stack["keys"]
        if by_key.get(key)
    }
    # A run that no stack of the lock lists counts as an average one.
    average = sum(predicted.values()) / len(predicted) if predicted else 1.0
    return {key: predicted.get(key, average) for key in by_key}


def spread(rows: Sequence[ObservedRow]) -> dict[str, list[float]]:
    """Metric -> least, median and greatest value over the runs, at the weights that are trained."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row["value"]  # of a metric that breaks it may be anything
        if row["weights"] == "raw" and isinstance(value, Real) and not math.isnan(value):
            values.setdefault(row["metric"], []).append(float(value))
    return {
        metric: [min(numbers), float(np.median(numbers)), max(numbers)] for metric, numbers in values.items()
    }
