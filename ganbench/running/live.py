"""live.json: what a session is training just now, for whoever watches. Only the session writes it.

It holds nothing that is not in the rows too, or will be: it is removed at the session's end, and what it
says counts only while the folder's lock is held.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from ganbench.storage.atomic import write_json

NAME = "live.json"
SECONDS = 1.0
"""Time between writes, but for stacks that begin or end."""


class Live:
    """Told of every event of a session, it keeps live.json up to date.

    Arguments:
        root: the suite's folder of results.
        suite: the resolved suite, as in suite.lock.json.
    """

    def __init__(self, root: Path, suite: Mapping[str, Any]) -> None:
        self._path, self._costs, self._written = root / NAME, costs(suite), 0.0
        self._began: float | None = None
        self._run_steps, self._work = 0, 0.0
        self._training: dict[str, dict[str, Any]] = {}

    def event(self, event: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Something happened to the stack of that config."""
        kind, name, now = event["event"], event["stack"], time.time()
        if kind == "started":
            self._began = self._began or now
            begun = {"from": event["step"], "since": now, "died": {}, "evaluated": None, "metrics": {}}
            self._training[name] = {"step": event["step"], "steps": event["steps"], **begun}
        elif kind == "progress":
            self._move(name, event["step"], config)
            died = {str(run): step for run, step in enumerate(event["died"]) if step}
            self._training[name]["died"] = died
        elif kind == "evaluated":
            self._move(name, event["step"], config)
            self._training[name] |= {"evaluated": event["step"], "metrics": spread(event["rows"])}
        else:
            if kind == "finished" and name in self._training:
                self._move(name, max(row["steps"] for row in event["rows"]), config)
            self._training.pop(name, None)
        if kind not in ("progress", "evaluated") or time.monotonic() - self._written > SECONDS:
            self._write(now)

    def close(self) -> None:
        """The session ends."""
        self._path.unlink(missing_ok=True)

    def _move(self, name: str, step: int, config: Mapping[str, Any]) -> None:
        steps = max(0, step - self._training[name]["step"])
        self._training[name]["step"] += steps
        self._run_steps += steps * len(config["keys"])
        self._work += steps * sum(self._costs.get(key, 0.0) for key in config["keys"])

    def _write(self, now: float) -> None:
        self._written = time.monotonic()
        state = {"time": now, "began": self._began, "run_steps": self._run_steps, "work": self._work}
        with contextlib.suppress(OSError):  # no run is worth less because nobody could watch it
            write_json(self._path, {**state, "training": self._training})


def costs(suite: Mapping[str, Any]) -> dict[str, float]:
    """Run key -> predicted seconds of one of its steps, on one core; equal for all where unknown."""
    steps = {variant["label"]: variant["config"]["steps"] for variant in suite["variants"]}
    by_key = {key: steps[label] for key, label in zip(suite["keys"], suite["labels"], strict=True)}
    known = {
        key: stack["seconds"] / len(stack["keys"]) / by_key[key]
        for stack in suite["stacks"]
        for key in stack["keys"]
        if by_key.get(key)
    }
    usual = sum(known.values()) / len(known) if known else 1.0
    return {key: known.get(key, usual) for key in by_key}


def spread(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Metric -> least, median and greatest value over the runs, at the weights that are trained."""
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row["value"]  # of a metric that breaks it may be anything
        if row["weights"] == "raw" and isinstance(value, Real) and not math.isnan(value):
            values.setdefault(row["metric"], []).append(float(value))
    return {metric: [min(some), float(np.median(some)), max(some)] for metric, some in values.items()}
