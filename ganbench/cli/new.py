"""`ganbench plugins new`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("kind")
@click.argument("name")
@click.option(
    "--dir",
    "parent",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The folder to create it in. Default: the current one.",
)
def new(kind: str, name: str, parent: Path) -> None:
    """Create a small, complete plugin.

    It has one component of KIND, called NAME, and lies in the folder NAME.

    KIND is model, loss, technique, dataset, metric, extractor, executor, logger or suite.
    """
    from ganbench.plugins.discovery import discover
    from ganbench.scaffold import create_plugin

    made, folder = create_plugin(kind, name, parent, discover())
    for path in made.files:
        click.echo(f"wrote {folder / path}")
    click.echo(f"\nedit    {folder / made.source}")
    # quoted for the shell, where these lines are pasted: the folder may hold blanks
    click.echo(f"install {shlex.join(['pip', 'install', '-e', f'{folder}[test]'])}")
    click.echo(f"test    {shlex.join(['pytest', str(folder)])}")
    click.echo(f"use     {shlex.join(['ganbench', 'run', str(folder / made.suite)])}{made.flags}")
