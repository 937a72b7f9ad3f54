"""`ganbench plugins`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from ganbench.cli.check import check
from ganbench.cli.new import new
from ganbench.errors import BadInput, nearest
from ganbench.suite_file import printable

if TYPE_CHECKING:
    from ganbench.loading import Loading
    from ganbench.plugins import Catalogue, Registered


@click.group()
def plugins() -> None:
    """What the installed plugins provide."""


plugins.add_command(check)
plugins.add_command(new)


_FILES = click.option(
    "--plugin", "files", multiple=True, metavar="FILE", help="A plugin that is a single file."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@plugins.command("list")
@_FILES
@_JSON
def list_plugins(files: tuple[str, ...], as_json: bool) -> None:
    """List plugins, their components, and what could not be loaded, with its traceback."""
    from ganbench.plugins import DISABLE, discover

    catalogue = discover(files)
    if as_json:
        click.echo(json.dumps(_listing(catalogue), indent=1))
        return
    for kind, components in catalogue.components.items():
        click.echo(click.style("losses" if kind == "loss" else f"{kind}s", bold=True))
        width = max(map(len, components), default=0)
        for name, registered in sorted(components.items()):
            click.echo(printable(f"  {name:<{width}}  {registered.summary}"))
    click.echo(click.style("plugins", bold=True))
    for name, owner in catalogue.plugins.items():
        click.echo(printable(f"  {name}: {owner}{_remark(catalogue.loading[name], owner)}"))
    for name, owner in catalogue.disabled.items():
        click.echo(printable(f"  {name}: {owner}, disabled by {DISABLE}"))
    for failure in catalogue.failures:
        told = f"failed: {failure.plugin} of {failure.distribution}: {failure.reason}"
        click.echo(click.style(printable(told, 1000), fg="red"))
        for line in failure.traceback.splitlines():
            click.echo(printable(f"    {line}"))


@plugins.command()
@click.argument("name")
@_FILES
@_JSON
def show(name: str, files: tuple[str, ...], as_json: bool) -> None:
    """Show the components called NAME: what they are, where they come from, their options."""
    from ganbench.describe import describe
    from ganbench.plugins import discover

    catalogue = discover(files)
    found = {kind: known[name] for kind, known in catalogue.components.items() if name in known}
    if not found:
        every = {name for known in catalogue.components.values() for name in known}
        raise BadInput(f"there is no component {name!r}; {nearest(name, every)}")
    described = [describe(registered) for registered in found.values()]
    if as_json:
        click.echo(json.dumps(described, indent=1))
        return
    for one in described:
        click.echo(
            click.style(printable(f"{one['kind']} {one['name']}"), bold=True) + f"  ({one['owner']})\n"
        )
        for line in one["doc"].splitlines():
            click.echo(printable(line))
        click.echo()
        for option in one["options"]:
            swept = ", may be swept in a stack" if option["sweepable"] else ""
            click.echo(printable(f"  {option['name']}: {option['type']} = {option['default']}{swept}"))
        for fact, value in one["facts"].items():
            told = value if isinstance(value, str) else json.dumps(value)
            click.echo(printable(f"  {fact}: {told}", 1000))


def _listing(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "components": {
            kind: {name: _owner(registered) for name, registered in sorted(known.items())}
            for kind, known in catalogue.components.items()
        },
        "plugins": catalogue.plugins,
        "seconds": {name: loading.seconds for name, loading in catalogue.loading.items()},
        "disabled": catalogue.disabled,
        "failures": [dataclasses.asdict(failure) for failure in catalogue.failures],
    }


def _remark(loading: Loading, owner: str) -> str:
    """What is worth telling of how a plugin was loaded. ganbench's own is loaded first, and torch with it."""
    slow = loading.slow and not owner.startswith("ganbench ")
    return f", slow to import: {loading.seconds:.1f} s" if slow else ""


def _owner(registered: Registered) -> str:
    return f"{registered.distribution} {registered.version}"
