"""`ganbench export`."""

from __future__ import annotations

from pathlib import Path

import click

from ganbench.cli.compare import folders_argument
from ganbench.cli.report import tell_all


@click.command()
@folders_argument
@click.option("--to", "form", type=click.Choice(["parquet", "csv"]), required=True, help="File format.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The folder to write to. Default: DIR/export.",
)
def export(folders: tuple[Path, ...], form: str, out: Path | None) -> int:
    """Write all runs, evaluations and traces in DIR... to one file each."""
    from ganbench.results import load
    from ganbench.results.exporting import export_to

    target = out or folders[0] / "export"
    results = load(*folders)
    paths = export_to(results, target, form)
    tell_all(results)
    for path in paths:
        click.echo(f"wrote {path}")
    return 0
