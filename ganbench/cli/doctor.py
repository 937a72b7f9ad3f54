"""`ganbench doctor`."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from ganbench.text import printable

if TYPE_CHECKING:
    from rich.table import Table

    from ganbench.doctor.advice import Advice
    from ganbench.doctor.findings import Report

_STYLES = {"ok": "green", "note": "yellow", "failed": "red"}
_LONGEST = 1000  # characters of a line: messages of compilers may be longer


@click.command()
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), help="What to examine. Default: CUDA if available."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Stop a question after this time.",
)
@click.option("--quick", is_flag=True, help="Leave out repetition, memory and speed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(device: str | None, timeout: float, quick: bool, as_json: bool) -> int:
    """Examine whether this machine can train, by which ways, how fast, and whether rightly.

    It trains small games in processes of their own, for some minutes. Nothing is written but to caches.

    Exit codes: 0 training can go on, 1 it cannot, 2 bad input.
    """
    from rich.console import Console

    from ganbench.doctor.advice import advice
    from ganbench.doctor.examination import Examination
    from ganbench.doctor.folders import folders
    from ganbench.planning.choice import settings
    from ganbench.plugins.discovery import discover

    with redirect_stdout(sys.stderr):  # plugins may print
        kind = settings(device, "auto", None, discover()).device
    with Console(stderr=True).status("") as status:
        examination = Examination(kind, timeout, lambda subject: status.update(f"{subject} …"))
        report = examination.quick() if quick else examination.full()
    report = dataclasses.replace(report, folders=folders())
    found = advice(report)
    if as_json:
        click.echo(json.dumps(plain(report, found), indent=1))
    else:
        _show(report, found)
    return int(any(one.stops for one in found))


def plain(report: Report, found: list[Advice]) -> dict[str, object]:
    """The report and the advice as JSON has it."""
    from ganbench.storage.atomic import plain

    whole = {
        "ok": not any(one.stops for one in found),
        "way": report.way,
        **dataclasses.asdict(report),
        "advice": [dataclasses.asdict(one) for one in found],
    }
    values: dict[str, object] = plain(whole)
    return values


def _show(report: Report, found: list[Advice]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    console.print(_table(report))
    if found:
        console.print()
    for one in found:
        style = "red" if one.stops else "yellow"
        console.print(Text.assemble(("• ", style), printable(one.text, _LONGEST)))
    if report.device == "cuda":
        console.print(
            Text("These checks have not been measured on a GPU yet: please report what is odd.", "dim")
        )


def _table(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from ganbench.doctor.lines import lines

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("question", max_width=24)
    table.add_column("verdict", no_wrap=True)
    table.add_column("found", overflow="fold")
    for line in lines(report):
        verdict = Text(line.verdict, _STYLES.get(line.verdict, ""))
        table.add_row(Text(line.question), verdict, Text(printable(line.text, _LONGEST)))
    return table
