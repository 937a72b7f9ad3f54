"""`ganbench report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--metric", help="Which metric to show in the table. Default: each variant's own.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def report(folder: Path, metric: str | None, as_json: bool) -> int:
    """Show the table of the results in FOLDER, and write it there as Markdown and CSV."""
    from rich.console import Console

    from ganbench.frames import load
    from ganbench.report import summary_table, write_report

    results = load(folder)
    summary = results.summary(metric)
    if as_json:
        click.echo(summary.to_json(orient="records"))
        write_report(results, folder)
        return 0
    console = Console()
    console.print(summary_table(summary, console.width))
    for warning in results.warnings:
        click.echo(f"warning: {warning}", err=True)
    paths = write_report(results, folder)
    click.echo("\n".join(f"wrote {path}" for path in paths))
    return 0
