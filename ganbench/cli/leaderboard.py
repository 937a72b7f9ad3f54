"""`ganbench leaderboard`."""

from __future__ import annotations

from pathlib import Path

import click

from ganbench.cli.compare import folders_argument, format_option, loaded, metric_option, show


@click.command()
@folders_argument
@metric_option
@click.option(
    "--by-model", is_flag=True, help="Rank losses and techniques: a task is a data set and a model."
)
@format_option
def leaderboard(folders: tuple[Path, ...], metric: str | None, by_model: bool, form: str) -> int:
    """Rank variants over all suites and data sets in DIR..., failures first."""
    from ganbench.report.listing import leaderboard_listing

    show(leaderboard_listing(loaded(folders).leaderboard(metric, by_model)), form)
    return 0
