"""`ganbench report`."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ganbench.results import Results

FORMATS = ("table", "md", "latex", "csv", "json")
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Format of the table that is printed.",
)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "--metric",
    help="The main metric of the table, the page and all files. Default: the suite's, or each variant's own.",
)
@format_option
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
def report(folders: tuple[Path, ...], metric: str | None, form: str, opened: bool) -> int:
    """Print a summary of the results in DIR..., and write a page, Markdown and CSV into the first folder.

    Exit code 1: the page could not be written.
    """
    from ganbench.report import write_report
    from ganbench.results import load

    results = load(*folders)
    if metric is not None:
        results = results.by(metric)
    print_summary(results, form)
    paths = write_report(results, folders[0], tell_warning)
    tell_all(results)
    # in the other formats the table alone goes to stdout, as programs and papers need it
    if form == "table":
        click.echo("\n".join(f"wrote {path}" for path in paths))
    if opened:
        # resolved: only an absolute path has a URI
        webbrowser.open(report_of(paths).resolve().as_uri())
    # without the page, the main file is the Markdown
    return int(report_of(paths).suffix != ".html")


def print_summary(results: Results, form: str) -> None:
    """Print the main table: one row a variant."""
    from rich.console import Console

    from ganbench.report import summary_table
    from ganbench.report.content import notes
    from ganbench.report.summary_listing import summary_listing

    if form != "table":
        click.echo(summary_listing(results).text(form), nl=False)
        return
    console, summary = Console(), results.summary()
    table = summary_table(summary, console.width, notes(results))
    console.print("No run has ended yet." if summary.empty else table)


def tell_warning(text: str) -> None:
    """Print a warning to stderr."""
    click.echo(f"warning: {text}", err=True)


def tell_all(results: Results) -> None:
    """Print all warnings of results. Call it last: reading a frame may add some."""
    missing = results.missing
    for warning in results.warnings:
        tell_warning(warning)
    if missing:
        tell_warning(f"{missing} of the suite's runs have no result yet and are left out")


def report_of(paths: Sequence[Path]) -> Path:
    """The main file of a report: the page, or the Markdown if there is no page."""
    pages = [path for path in paths if path.suffix == ".html"]
    return (pages or list(paths))[0]
