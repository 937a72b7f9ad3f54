"""`ganbench watch`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganbench.errors import BadInput, Problem
from ganbench.text import drop_shared_start, duration, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from ganbench.running.watch import Failure, Follower, Frame, Training

FAILURES = 8
"""Most lines of failures: one for each outcome and variant."""
WIDE = 120
"""Columns of a terminal from which the tables get further columns."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--once", is_flag=True, help="Print one frame and exit, as without a terminal.")
@click.option(
    "--interval", type=click.FloatRange(0.1), default=1.0, show_default=True, metavar="SECONDS",
    help="Time between frames.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one frame as JSON.")
def watch(folder: Path, once: bool, interval: float, as_json: bool) -> int:
    """Show the progress of the suite in DIR, from any terminal, while `ganbench run` trains it.

    It only reads files. It ends with the suite, or on Ctrl-C.
    """
    from rich.console import Console

    from ganbench.running.watch import Follower

    follower, console = Follower(folder), Console(highlight=False)
    # a dumb terminal cannot move its cursor back to the first line of a frame
    if once or as_json or not console.is_terminal or console.is_dumb_terminal:
        frame = follower.frame()
        if frame.state == "absent":
            raise BadInput(Problem(str(folder), "there is nothing yet"))
        if as_json:
            click.echo(json.dumps(plain(frame), indent=1))
        else:
            console.print(picture(frame, console.width, None))
        return 0
    with contextlib.suppress(KeyboardInterrupt):
        _follow(follower, console, interval)
    return 0


def _follow(follower: Follower, console: Console, interval: float) -> None:
    """Show frame after frame, until the suite ends."""
    from rich.live import Live

    # no refreshing thread: a frame changes only when the files are read again
    with Live(console=console, auto_refresh=False) as live:
        while True:
            frame = follower.frame()
            live.update(picture(frame, console.width, console.height), refresh=True)
            if frame.state in ("finished", "stopped"):
                return
            time.sleep(interval)


def plain(frame: Frame) -> dict[str, object]:
    """A frame as JSON has it: what is not finite is null."""
    from ganbench.storage.atomic import plain

    values: dict[str, object] = plain(dataclasses.asdict(frame))
    return values


def picture(frame: Frame, width: int, height: int | None) -> RenderableType:
    """A frame for a terminal of that size; height None: of any."""
    from rich.console import Group
    from rich.text import Text

    if frame.state == "absent":
        return Text(f"nothing is at {_safe(frame.folder)} yet: waiting for `ganbench run` (Ctrl-C ends)")
    # Names and reasons come from files that anybody may have written: `_safe` escapes them.
    groups = _grouped(frame.failures)
    warnings = _warnings(frame.warnings, height)
    rows, lines = _room(len(frame.training), len(groups), height and height - len(warnings))
    line = _line if frame.state == "training" else Text  # the last frame may be longer than the terminal
    parts: list[RenderableType] = [*starmap(line, _sentences(frame))]
    if frame.training:
        parts += [Text(), _stacks(frame.training[:rows], frame.metric, width)]
    if left := frame.training[rows:]:
        count = sum(stack.runs for stack in left)
        parts.append(_line(f"and {len(left)} more stacks in training ({count} runs)"))
    if groups[:lines]:
        parts += [Text(), _failures(groups[:lines], width)]
    if left_out := sum(len(failures) for _, _, failures in groups[lines:]):
        parts.append(_line(f"and {left_out} more failed runs"))
    parts += warnings
    return Group(*parts, *([] if height is None else [Text()]))  # where the terminal echoes Ctrl-C


def _room(stacks: int, groups: int, height: int | None) -> tuple[int, int]:
    """How many of the stacks, and of the groups of failures, a terminal of that height has lines for."""
    if height is None:
        return stacks, FAILURES
    # a third of the lines that the head and the table's borders leave: stacks in training come first
    lines = min(groups, FAILURES, max(0, (height - 12) // 3))
    around = 4 + 4 + (4 if lines else 1 if groups else 0)  # the head and the last line; two tables
    return max(1, height - around - lines), lines


def _warnings(warnings: Sequence[str], height: int | None) -> list[Text]:
    """All warnings; a single line where a terminal must hold the rest as well."""
    from rich.text import Text

    lines = [f"warning: {_safe(text, 1000)}" for text in warnings]
    if height is None or not lines:
        return [Text(text, "yellow") for text in lines]
    more = f"{len(lines)} warnings, such as " if len(lines) > 1 else ""
    return [_line(more + lines[0], "yellow")]


def _line(text: str, style: str = "") -> Text:
    """One line, cut where it is too long."""
    from rich.text import Text

    # not wrapped: rich cannot erase a frame that is taller than the terminal
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _sentences(frame: Frame) -> Iterator[tuple[str, str]]:
    """(sentence, style) of each line above the tables."""
    style = {"training": "bold", "finished": "bold green", "stopped": "bold yellow"}[frame.state]
    yield f"{_safe(frame.suite)}: {_state(frame)}", style
    waiting = frame.runs - frame.ended - frame.in_training
    counts = [f"{frame.ended} of {frame.runs} ended"]
    if frame.state == "training":
        counts += [f"{frame.in_training} in training", f"{waiting} waiting"]
    counts.append(f"{len(frame.failures)} failed" + (f" ({frame.outcomes})" if frame.failures else ""))
    yield "runs  " + ", ".join(counts), ""
    if frame.run_steps_per_second is not None:
        left = "" if frame.seconds_left is None else f", about {duration(frame.seconds_left)} left"
        spent = duration(frame.seconds or 0.0)
        yield (
            f"time  {spent} so far{left}; {frame.run_steps_per_second:,.0f} steps/s of all runs together",
            "",
        )


def _state(frame: Frame) -> str:
    """The state in words, and how to go on."""
    if frame.state == "training":
        return f"training ({_safe(frame.holder)})"
    if frame.state == "finished":
        return "ended, every run has its outcome"
    how = f"{_safe(frame.holder)} was killed" if frame.holder else "interrupted"
    return f"{how}; `{_safe(frame.command)}` goes on" if frame.command else how


def _stacks(training: Sequence[Training], metric: str, width: int) -> Table:
    from rich.text import Text

    wide = width >= WIDE
    table = _table(width)
    table.add_column("in training", no_wrap=True, ratio=5)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    if wide:
        table.add_column("evaluated", justify="right", no_wrap=True)
    table.add_column("median (range)", no_wrap=True, ratio=7 if wide else 4)
    for stack, label in zip(training, drop_shared_start([stack.label for stack in training]), strict=True):
        more = f" +{stack.variants - 1} variants" if stack.variants > 1 else ""
        left = "" if stack.seconds_left is None else duration(stack.seconds_left)
        step = f"{stack.step:,} of {stack.steps:,}" if wide else f"{stack.step / stack.steps:.0%}"
        at = [("" if stack.evaluated is None else f"{stack.evaluated:,}")] if wide else []
        values = metrics(stack.metrics, metric, 3 if wide else 1)
        cells = (_safe(label) + more, str(stack.runs), step, left, *at, values)
        table.add_row(*map(Text, cells))
    return table


def metrics(values: Mapping[str, Sequence[float | None]], first: str, count: int) -> str:
    """Such as "modes 7 (5 to 8), fid 31.2 (30 to 33)": `count` of them, `first` before the others."""
    texts = []
    # False sorts before True, and sorting is stable: `first`, then the others in their order
    for metric, triple in sorted(values.items(), key=lambda item: item[0] != first)[:count]:
        least, median, greatest = (_number(value) for value in triple)
        texts.append(f"{_safe(metric)} {median}" + ("" if least == greatest else f" ({least} to {greatest})"))
    return ", ".join(texts)


def _failures(groups: Sequence[tuple[str, str, list[Failure]]], width: int) -> Table:
    """A line an outcome and variant: seeds and steps."""
    from rich.text import Text

    table = _table(width)
    table.add_column("failed", no_wrap=True)
    table.add_column("variant", no_wrap=True, ratio=3)
    table.add_column("seeds", no_wrap=True, ratio=1)
    table.add_column("steps", no_wrap=True)
    if width >= WIDE:
        table.add_column("reason of the first", no_wrap=True, ratio=4)
    labels = drop_shared_start([variant for _, variant, _ in groups])
    for (outcome, _, failures), label in zip(groups, labels, strict=True):
        when = _span([failure.step for failure in failures if failure.step is not None])
        seeds = " ".join(str(failure.seed) for failure in failures)
        cells = (f"{len(failures)} {_safe(outcome)}", _safe(label), seeds, when, _safe(failures[0].reason))
        # the reason is left out where its column is
        table.add_row(*map(Text, cells[: len(table.columns)]))
    return table


def _span(steps: Sequence[int]) -> str:
    """Such as "300 to 1,200"; empty where no step is known, as of a run that crashed."""
    if not steps:
        return ""
    first, last = min(steps), max(steps)
    return f"{first:,} to {last:,}" if last > first else f"{first:,}"


def _grouped(failures: Sequence[Failure]) -> list[tuple[str, str, list[Failure]]]:
    """(outcome, variant, failures), the most first."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((failure.outcome, failure.variant), []).append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [(*key, sorted(members, key=lambda failure: failure.seed)) for key, members in ordered]


def _table(width: int) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, width=width, expand=True)


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def _safe(text: str, limit: int = 200) -> str:
    return printable(text, limit)
