"""`ganbench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganbench.cli.report import format_option, tell_all, tell_warning
from ganbench.errors import BadInput, nearest

if TYPE_CHECKING:
    from ganbench.report.listing import Listing
    from ganbench.results import Results
    from ganbench.storage.records import OptionValue

_KEYS = ("dataset", "model", "loss", "techniques", "batch", "steps")

folders_argument = click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
metric_option = click.option("--metric", help="The metric. Default: the suite's, or each variant's own.")


@click.command()
@folders_argument
@metric_option
@click.option(
    "--baseline",
    metavar="LABEL|KEY=VALUE,…",
    help="Compare with this variant, or with variants of these properties, such as "
    "loss=hinge,techniques=r1+ema (techniques= for none); `all` compares all pairs. Default: the suite's "
    "baseline, else all pairs.",
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Significance level.")
@format_option
def compare(
    folders: tuple[Path, ...], metric: str | None, baseline: str | None, alpha: float, form: str
) -> int:
    """Compare the variants in DIR...: which is better, by how much, and is it significant?"""
    from ganbench.report.listing import comparison_listing
    from ganbench.results import load

    results = load(*folders)
    chosen = None if baseline is None else baseline_of(baseline, results)
    frame = results.compare(metric, chosen, alpha)
    # tested again and again while runs arrive, some pair would look significant by chance
    if results.missing:
        tell_warning("no pair is called significant until every run of the suite has a result")
    show(comparison_listing(frame, alpha), results, form)
    return 0


def show(listing: Listing, results: Results, form: str) -> None:
    """Print a listing, after the warnings about its results."""
    tell_all(results)
    if form != "table":
        click.echo(listing.text(form), nl=False)
        return
    from rich.console import Console

    console = Console()
    console.print(listing.table(console.width))


def baseline_of(text: str, results: Results) -> str | dict[str, OptionValue]:
    """The text itself if it is a label, else the properties in KEY=VALUE,…."""
    # Labels first: those of swept variants hold "=" too, such as "hinge [lr=0.001]".
    if text in set(results.runs["variant"]) or "=" not in text:
        return text
    properties: dict[str, OptionValue] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in _KEYS:
            raise BadInput(f"--baseline: {key!r} is not a key of a baseline; {nearest(key, _KEYS)}")
        properties[key] = _value(key, value)
    return properties


def _value(key: str, value: str) -> str | int | list[str]:
    if key == "techniques":
        # labels write "plain" for no technique
        return [name for name in value.split("+") if name and name != "plain"]
    if key not in ("batch", "steps"):
        return value
    if not value.isdigit():
        raise BadInput(f"--baseline: {key} must be a whole number, such as {key}=64 (got {value!r})")
    return int(value)
