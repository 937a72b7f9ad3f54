"""The plugin contract, on one page. A plugin implements the hooks it needs with `@hookimpl`.

A plugin is a module (or a package) named by an entry point in the group `ganbench`. Each component
hook returns a list of component classes (see `ganbench.components.kinds`). The observer hooks are called as
runs start, are evaluated and end, in the process that the user started, one call at a time.

A plugin may say at its top, before it imports anything, for which version of this contract it was written:
`ganbench_api = 1`. One that needs a newer version than API_VERSION is not loaded, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pluggy

from ganbench.components.data import Dataset
from ganbench.components.kinds import Executor, Extractor, Logger, Loss, Metric, Model, Technique
from ganbench.storage.records import ObservedRow, RunRow, StackInfo

# also our distribution's name: its plugins load first, and `*` does not disable them
PROJECT = "ganbench"
API_VERSION = 1
# the order in which discovery asks a plugin
HOOKS = {
    "model": "ganbench_models",
    "loss": "ganbench_losses",
    "technique": "ganbench_techniques",
    "dataset": "ganbench_datasets",
    "metric": "ganbench_metrics",
    "extractor": "ganbench_extractors",
    "executor": "ganbench_executors",
    "logger": "ganbench_loggers",
}
"""Kind of component -> the hook that gives classes of it."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorator: marks a function of a plugin as its implementation of the hook with the same name."""


# pluggy reads only the signature of a specification: no body is ever called
@hookspec
def ganbench_models() -> Sequence[type[Model]]:
    """Models: networks, players, turns and how they meet."""
    raise NotImplementedError


@hookspec
def ganbench_losses() -> Sequence[type[Loss]]:
    """Losses: one objective a player."""
    raise NotImplementedError


@hookspec
def ganbench_techniques() -> Sequence[type[Technique]]:
    """Stability techniques."""
    raise NotImplementedError


@hookspec
def ganbench_datasets() -> Sequence[type[Dataset]]:
    """Data sets."""
    raise NotImplementedError


@hookspec
def ganbench_metrics() -> Sequence[type[Metric]]:
    """Metrics, taken at evaluation steps."""
    raise NotImplementedError


@hookspec
def ganbench_extractors() -> Sequence[type[Extractor]]:
    """Feature extractors for FID and its family."""
    raise NotImplementedError


@hookspec
def ganbench_executors() -> Sequence[type[Executor]]:
    """Ways to execute a training step."""
    raise NotImplementedError


@hookspec
def ganbench_loggers() -> Sequence[type[Logger]]:
    """Loggers, for `ganbench run --log NAME`."""
    raise NotImplementedError


@hookspec
def ganbench_suites() -> Sequence[Path]:
    """Suite files (*.toml), found by their stem."""
    raise NotImplementedError


@hookspec
def ganbench_stack_started(stack: StackInfo) -> None:
    """A stack begins or resumes.

    `stack`: id, label, steps, step (where it begins), engine, folder; and, an entry a run: variants (their
    labels), seeds, keys, configs (the resolved variants), swept (the values of swept options).
    """


@hookspec
def ganbench_evaluated(stack: StackInfo, step: int, rows: Sequence[ObservedRow]) -> None:
    """A stack was evaluated. `rows`: one mapping a (run, metric): run, variant, seed, metric, value."""


@hookspec
def ganbench_stack_finished(stack: StackInfo, runs: Sequence[RunRow]) -> None:
    """A stack ended. `runs`: its rows of results, one a run."""
