"""Checks of loggers: during a run they raise nothing and change nothing."""

from __future__ import annotations

import copy
import math
import tempfile
from pathlib import Path
from typing import Any

from ganbench.testing.case import Case
from ganbench.testing.findings import NotTried, Unmet, check
from ganbench.testing.untouched import generators_untouched

KEY = "0" * 64
SUITE: dict[str, Any] = {"schema": 1, "suite": "toys", "keys": [KEY], "labels": ["toy-gan"], "seeds": [0]}
STACK: dict[str, Any] = {
    "id": "toy-gan-000000000000",
    "label": "toy-gan",
    "steps": 20,
    "step": 0,
    "engine": {"device": "cpu", "mapper": "map", "executor": "eager"},
    "variants": ["toy-gan"],
    "seeds": [0],
    "keys": [KEY],
    "configs": [
        {
            "model": {"name": "toy-gan", "options": {}},
            "loss": {"name": "toy-loss", "options": {}},
            "techniques": [{"name": "r1", "options": {"gamma": 0.1}}],
            "dataset": {"name": "ring", "options": {}},
            "steps": 20,
            "batch": 8,
        }
    ],
    "swept": [{"r1.gamma": 0.1}],
}
ROWS: list[dict[str, Any]] = [
    {"run": 0, "variant": "toy-gan", "seed": 0, "metric": "modes", "value": value, "weights": "raw"}
    # diverged runs give nan and inf, which many services do not accept as JSON
    for value in (3.0, math.nan, math.inf)
]
RUNS: list[dict[str, Any]] = [
    {
        "key": KEY,
        "variant": "toy-gan",
        "seed": 0,
        "outcome": "diverged",
        "onset_step": 7,
        "reason": "the loss became non-finite at step 7",
        "steps": 7,
        "final_modes": math.nan,
    }
]


@check("logger")
def takes_a_runs_life(case: Case) -> None:
    """In a session with a stack that diverges, every method returns.

    Fix: correct the code that raised it; expect nan, inf and None among values, and a second opening after a
    crash.
    """
    _available(case)
    with generators_untouched():
        _tell(case, copy.deepcopy(STACK), copy.deepcopy(ROWS), copy.deepcopy(RUNS))


@check("logger")
def changes_nothing_it_is_told(case: Case) -> None:
    """Stack and rows are left as they were: other loggers are given the same.

    Fix: copy what you change: dict(row).
    """
    _available(case)
    stack, rows, runs = copy.deepcopy((STACK, ROWS, RUNS))
    _tell(case, stack, rows, runs)
    # added by `_tell`, and different in every call
    del stack["folder"]
    # by repr: == of structures with nan is False even where nothing has changed
    if repr((stack, rows, runs)) != repr((STACK, ROWS, RUNS)):
        raise Unmet("the stack or rows that it was given were changed in place")


def _available(case: Case) -> None:
    why = case.component.available()
    if why is not None and (not isinstance(why, str) or not why):
        raise Unmet(f"`available` gave {why!r}", "return None, or a sentence that says what is missing")
    if why:
        raise NotTried(why)


def _tell(case: Case, stack: Any, rows: Any, runs: Any) -> None:
    with tempfile.TemporaryDirectory() as root:
        stack["folder"] = str(Path(root, "stacks", stack["id"]))
        Path(stack["folder"]).mkdir(parents=True)
        # a copy, because loggers cache their connection on themselves
        logger = copy.copy(case.component)
        logger.opened(Path(root), copy.deepcopy(SUITE))
        logger.started(stack)
        logger.evaluated(stack, 10, rows)
        logger.finished(stack, runs)
        logger.closed()
