"""`ganbench leaderboard`."""

from __future__ import annotations

from pathlib import Path

import click

from ganbench.cli.compare import folders_argument, metric_option, show
from ganbench.cli.report import format_option


@click.command()
@folders_argument
@metric_option
@click.option(
    "--by-model", is_flag=True, help="Rank losses with techniques: a task is a data set and a model."
)
@format_option
def leaderboard(folders: tuple[Path, ...], metric: str | None, by_model: bool, form: str) -> int:
    """Rank variants over all suites and data sets in DIR...; failed runs count as worst."""
    from ganbench.report.listing import leaderboard_listing
    from ganbench.results import load

    results = load(*folders)
    show(leaderboard_listing(results.leaderboard(metric, by_model)), results, form)
    return 0
