"""`ganbench run`."""

from __future__ import annotations

import math
import os
import shlex
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from ganbench.cli.options import Request, suite_options
from ganbench.errors import BadInput
from ganbench.judging.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ganbench.results import Results
    from ganbench.running.session import Session


@click.command()
@click.argument("suite")
@suite_options
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="NAME[:OPTION=VALUE,…]",
    help="Send events to a logger, such as tensorboard.",
)
@click.option(
    "--timeout", type=float, default=math.inf, metavar="SECONDS", help="Stop stacks that take longer."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON; no progress.")
def run(suite: str, logs: tuple[str, ...], timeout: float, quiet: bool, as_json: bool, **options: Any) -> int:
    """Train SUITE, a file or a name that `ganbench suites` lists, and report.

    Runs that are already trained are kept; an interrupted suite resumes where it stopped.
    """
    from ganbench.cli.progress import watcher
    from ganbench.planning.cautions import cautions
    from ganbench.planning.plan import make_plan
    from ganbench.running.loggers import chosen
    from ganbench.running.pool import Pool
    from ganbench.running.session import Session

    if not timeout > 0:  # also true of NaN
        raise BadInput(f"--timeout: {timeout:g} is not a time in seconds")
    with redirect_stdout(sys.stderr):  # what components print must not mix with the table
        job = Request(suite, **options).resolve()
        loggers = chosen(logs, job.catalogue)
    if job.settings.gpus:
        _examine([gpu.name for gpu in job.settings.gpus], quiet or as_json)
    # workers start up (torch takes seconds to import) while this process plans
    with Pool(job.settings.workers, job.plugin_files, timeout, job.settings.gpus) as pool:
        with redirect_stdout(sys.stderr):
            plan = make_plan(job.suite, job.catalogue, job.root, job.settings)
        with watcher(plan, quiet or as_json) as watching:
            for caution in cautions(plan, job.catalogue, job.plugin_files):
                watching.warn(caution)
            session = Session(plan, job.catalogue, job.root, watching, loggers)
            with redirect_stdout(sys.stderr):
                session.run(pool)
    return _conclude(session, job.root, as_json)


def _examine(gpus: Sequence[str], quiet: bool) -> None:
    """Try GPUs of new models, and print what was found; if `quiet`, only what is wrong."""
    from ganbench.doctor.first_use import first_use

    found = first_use(gpus, lambda text: None if quiet else click.echo(text, err=True))
    if found and not (quiet and found.sound):
        click.echo(found.summary if found.sound else f"warning: {found.summary}", err=True)


def _conclude(session: Session, root: Path, as_json: bool) -> int:
    """Print the table, the paths of results, and failures. Return the exit code."""
    from ganbench.cli.report import print_summary, report_of, tell_all, tell_warning
    from ganbench.report import write_report
    from ganbench.results import load

    results = load(root)
    if as_json:
        print_summary(results, "json")
        write_report(results, root, tell_warning)
    else:
        _show(results)
        click.echo(f"rows    {root / 'stacks'}")
        click.echo(f"report  {report_of(write_report(results, root, tell_warning))}")
    # after the report: reading rows for it may add warnings
    tell_all(results)
    for path in session.tracebacks.values():
        _tell_traceback(path)
    if session.interrupted:
        again = shlex.join(["ganbench", *sys.argv[1:]])
        click.echo(f"interrupted; `{again}` goes on from here", err=True)
        return 130
    return int(results.runs["outcome"].isin([Outcome.CRASHED, Outcome.INCOMPATIBLE]).any())


def _show(results: Results) -> None:
    from rich.console import Console

    from ganbench.report import summary_table
    from ganbench.report.content import notes

    console = Console()
    console.print(summary_table(results.summary(), console.width, notes(results)))
    broken = results.runs[results.runs["outcome"].isin([Outcome.CRASHED, Outcome.INCOMPATIBLE])]
    # a line a reason: one fault often breaks many runs
    for (outcome, reason), rows in broken.groupby(["outcome", "reason"], sort=False):
        first, *others = dict.fromkeys(rows["variant"])
        variants = f"{first} and {len(others)} more" if others else first
        console.print(f"{outcome}: {variants}: {reason}", style="red", markup=False, highlight=False)


def _tell_traceback(path: Path) -> None:
    """Print the path of a traceback, or all of it if GANBENCH_TRACEBACK is set."""
    if os.environ.get("GANBENCH_TRACEBACK"):
        click.echo(f"\n{path}\n{path.read_text('utf-8').rstrip()}", err=True)
    else:
        click.echo(f"traceback in {path}; GANBENCH_TRACEBACK=1 prints it", err=True)
