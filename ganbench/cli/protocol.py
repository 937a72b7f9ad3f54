"""`ganbench protocol`."""

from __future__ import annotations

from pathlib import Path

import click

from ganbench.cli.compare import folders_argument
from ganbench.cli.report import tell_all


@click.command()
@folders_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "latex"]),
    default="text",
    show_default=True,
    help="Output format.",
)
def protocol(folders: tuple[Path, ...], form: str) -> int:
    """Print the paragraph on methods for a paper about the results in DIR....

    It names data, networks, optimisers, steps, seeds, metrics, thresholds, tests and versions, from the
    resolved suite: what variants share once, what they do not share with the variants that it is of.
    """
    from ganbench.report import latex
    from ganbench.report.protocol import protocol as sentences
    from ganbench.report.tables import escape
    from ganbench.results import load
    from ganbench.text import plain_text

    results = load(*folders)
    written = {"text": plain_text, "md": escape, "latex": latex.escape}[form]
    click.echo("\n".join(written(sentence) for sentence in sentences(results)))
    tell_all(results)
    return 0
