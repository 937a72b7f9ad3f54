"""`ganbench plan`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from ganbench.cli.options import Request, suite_options
from ganbench.storage.records import way_of
from ganbench.text import duration, size, stack_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from ganbench.planning.plan import Plan, Stack

_COLUMNS = ("runs", "steps", "trained", "time", "memory")


@click.command()
@click.argument("suite")
@suite_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(suite: str, as_json: bool, **options: Any) -> int:
    """Show what `ganbench run SUITE` would train, and its time and memory. Trains nothing.

    The exit code is 1 where runs are incompatible, or a component breaks when it is tried.
    """
    from ganbench.planning.plan import make_plan

    with redirect_stdout(sys.stderr):  # components may print; stdout is for the plan
        job = Request(suite, **options).resolve()
        made = make_plan(job.suite, job.catalogue, job.root, job.settings)
    if as_json:
        click.echo(json.dumps(summary(made), indent=1))
    else:
        _show(made)
    return int(bool(made.failed or made.unmeasured))


def summary(plan: Plan) -> dict[str, object]:
    """The plan as plain data, for JSON."""
    return {
        "suite": plan.suite.name,
        "variants": [variant.label for variant in plan.suite.variants],
        "seeds": list(plan.suite.seeds),
        "runs": len(plan.runs) + len(plan.failed),
        "cached": plan.cached,
        "resumed": [folder.path.name for folder in plan.resumed],
        "incompatible": [{name: row[name] for name in ("label", "seed", "reason")} for row in plan.failed],
        "unmeasured": [{"label": label, "reason": reason} for label, reason in plan.unmeasured.items()],
        "stacks": [
            {
                "label": stack.config["label"],
                "runs": len(stack.config["seeds"]),
                "steps": stack.config["variants"][0]["steps"],
                "engine": stack.config["engine"],
                "seconds": round(stack.seconds, 1) if stack.measured else None,
                "memory": stack.memory if stack.measured else None,
            }
            for stack in plan.stacks
        ],
        "workers": plan.settings.workers,
        "seconds": round(plan.seconds, 1),
    }


def _show(plan: Plan) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    variants, seeds = len(plan.suite.variants), len(plan.suite.seeds)
    console.print(Text(f"{plan.suite.name}: {variants} variants x {seeds} seeds = {variants * seeds} runs"))
    if plan.stacks:
        console.print(_table(plan.stacks, console.width))
    rest = [f"{plan.cached} runs are already trained"]
    if plan.resumed:
        rest.append(f"{len(plan.resumed)} stacks would resume")
    if plan.failed:
        rest.append(f"{len(plan.failed)} runs are incompatible")
    console.print(Text("; ".join(rest)))
    # one line a variant: its seeds fail for the same reason
    for reason in dict.fromkeys(f"{row['label']}: {row['reason']}" for row in plan.failed):
        console.print(Text(f"incompatible: {reason}"))
    for label, reason in plan.unmeasured.items():
        console.print(Text(f"cannot be measured: {label}: {reason}"))
    workers = f"{plan.settings.workers} worker" + ("s" if plan.settings.workers > 1 else "")
    prediction = f"predicted: {duration(plan.seconds)} on {workers} ({plan.settings.device})"
    limits = ["without what cannot be measured"] if plan.unmeasured else []
    limits += ["unmeasured on GPUs"] if plan.settings.device == "cuda" else []
    console.print(Text(", ".join([prediction, *limits])))


def _table(stacks: Sequence[Stack], width: int) -> Table:
    """One row per stack; labels are broken between their parts."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ganbench.text import break_label

    rows = [_cells(stack) for stack in stacks]
    taken = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    # 3: padding on both sides and a blank between columns; below 12, labels would be cut to pieces
    room = max(12, width - sum(taken) - 3 * len(taken))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("stack", max_width=room)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for stack, cells in zip(stacks, rows, strict=True):
        label = stack_label(stack.config["labels"])
        table.add_row(Text("\n".join(break_label(label, room))), *cells)
    return table


def _cells(stack: Stack) -> tuple[str, ...]:
    config = stack.config
    steps = config["variants"][0]["steps"]
    return (
        str(len(config["seeds"])),
        f"{steps:,}",
        way_of(config["engine"]),
        duration(stack.seconds) if stack.measured else "unknown",
        size(stack.memory) if stack.measured else "unknown",
    )
