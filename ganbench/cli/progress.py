"""Live progress: bars on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ganbench.planning.plan import Plan
from ganbench.running.dispatch import Watcher
from ganbench.running.events import Finished, SessionEvent, Split, Started, Stopped
from ganbench.running.events import Progress as Moved

LINE_SECONDS = 10.0
"""Time between lines about one stack."""


class Quiet:
    """Shows warnings only."""

    def event(self, event: SessionEvent, label: str) -> None:
        """Show nothing of it."""

    def warn(self, text: str) -> None:
        """Print a line on standard error."""
        click.echo(f"warning: {text}", err=True)


class Lines(Quiet):
    """A line when a stack starts or ends, and now and then between."""

    def __init__(self, stacks: int) -> None:
        self._stacks, self._ended = stacks, 0
        self._reported: dict[str, float] = {}

    def event(self, event: SessionEvent, label: str) -> None:
        """Print a line, except for progress within 10 s of the last line about this stack."""
        now = time.monotonic()
        match event:
            case Started():
                click.echo(f"started  {label}", err=True)
                self._reported[event.stack] = now
            case Finished():
                self._ended += 1
                counts = f"{outcomes(event)} ({self._ended} of {self._stacks} stacks)"
                click.echo(f"ended    {label}: {counts}", err=True)
            case Split():
                self._stacks += 1  # two halves in place of one stack
                click.echo(f"split    {label}: out of memory, going on with half the runs at once", err=True)
            case Moved() if now - self._reported.get(event.stack, now) > LINE_SECONDS:
                self._reported[event.stack] = now
                click.echo(f"training {label}: step {event.step} of {event.steps}", err=True)


class Bars(Quiet):
    """One bar for the suite, one for each stack in training."""

    def __init__(self, progress: Progress, runs: int, cached: int, stacks: int) -> None:
        self._progress, self._stacks = progress, stacks
        self._tasks: dict[str, TaskID] = {}
        self._all = progress.add_task("all runs", total=runs, completed=cached, what="")

    def event(self, event: SessionEvent, label: str) -> None:
        """Move the bars; print a line when a stack ends."""
        match event:
            case Started(stack=stack, step=step, steps=steps):
                # 44 characters leave room for bar, counts and times
                description = label if len(label) <= 44 else label[:43] + "…"
                self._tasks[stack] = self._progress.add_task(
                    description, total=steps, completed=step, what=""
                )
            case Moved(stack=stack, step=step):
                failed = f"{event.failed} failed" if event.failed else ""
                self._progress.update(self._tasks[stack], completed=step, what=failed)
            case Finished() | Split() | Stopped() if event.stack in self._tasks:
                self._progress.remove_task(self._tasks.pop(event.stack))
        if isinstance(event, Finished):
            self._progress.advance(self._all, len(event.rows))
            self._progress.console.print(Text(f"{label}: {outcomes(event)}", style="dim"))

    def warn(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(Text(f"warning: {text}", style="yellow"))


def outcomes(event: Finished) -> str:
    """Counts of runs by outcome, such as "4 finished, 1 collapsed"."""
    names = [row["outcome"] for row in event.rows]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


@contextmanager
def watcher(plan: Plan, quiet: bool) -> Iterator[Watcher]:
    """Bars if standard error is a terminal, else lines; only warnings if `quiet`."""
    stacks = len(plan.stacks) + len(plan.resumed)
    if quiet:
        yield Quiet()
    elif not sys.stderr.isatty():
        click.echo(f"{len(plan.runs)} runs, {plan.cached} of them already trained", err=True)
        yield Lines(stacks)
    else:
        columns = (
            TextColumn("{task.description}", markup=False),  # labels of swept variants hold brackets
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}", style="red"),
        )
        # transient: the bars go, for the table follows
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield Bars(progress, len(plan.runs), plan.cached, stacks)
