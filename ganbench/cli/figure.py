"""`ganbench figure`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from ganbench.cli.compare import baseline_of
from ganbench.cli.report import tell_all
from ganbench.errors import BadInput


@click.command()
@click.argument("name")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="The file, by suffix: .pdf, .svg, .png, .tex or .csv. Default: NAME.pdf.",
)
@click.option("--metric", help="The metric to draw. Default: the suite's, or each variant's own.")
@click.option("--threshold", type=float, help="For time-to-threshold: the value that is good enough.")
@click.option(
    "--baseline",
    metavar="LABEL|KEY=VALUE,…",
    help="For comparisons: the baseline, as in `ganbench compare`.",
)
@click.option("-x", "x", metavar="OPTION", help="For stability-map: the swept option on the x axis.")
@click.option("-y", "y", metavar="OPTION", help="For stability-map: the swept option on the y axis.")
@click.option(
    "--width",
    type=click.IntRange(160, 4000),
    default=480,
    show_default=True,
    help="Width in pixels.",
)
@click.option("--dark", is_flag=True, help="Draw on a dark background.")
def figure(
    name: str, folders: tuple[Path, ...], out: Path | None, width: int, dark: bool, **options: Any
) -> int:
    """Write the figure NAME of the results in DIR... to a file, and print its finding.

    Figures: failure-rates, outcomes, final-values, comparisons, survival, time-to-threshold, metric-curves,
    gradient-norms, logit-gap, examples, stability-map, sensitivity, cost.
    """
    from ganbench.report.figures import figure as make
    from ganbench.report.figures import write_figure
    from ganbench.results import load

    # only what was given: a figure refuses options that it does not have
    given = {option: value for option, value in options.items() if value is not None}
    if not math.isfinite(given.get("threshold", 0.0)):
        raise BadInput(f"--threshold: {given['threshold']:g} is not a value that a run can reach")
    results = load(*folders)
    if "baseline" in given:
        given["baseline"] = baseline_of(given["baseline"], results)
    made = make(results, name, **given)
    path = write_figure(made, out or Path(f"{made.name}.pdf"), width, dark)
    tell_all(results)
    click.echo(made.finding)
    click.echo(f"wrote {path}")
    return 0
