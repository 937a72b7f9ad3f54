"""`ganbench plugins`."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ganbench.cli.check import check
from ganbench.cli.new import new
from ganbench.errors import BadInput, nearest
from ganbench.text import printable

if TYPE_CHECKING:
    from ganbench.plugins.discovery import Catalogue
    from ganbench.plugins.loading import Loading


@click.group()
def plugins() -> None:
    """List, show, check and create plugins."""


plugins.add_command(check)
plugins.add_command(new)


_WHOLE = 10_000
"""Characters of a line in a pipe: no honest line is longer."""
_FILES = click.option("--plugin", "files", multiple=True, metavar="FILE", help="Load a single-file plugin.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@plugins.command("list")
@_FILES
@_JSON
def list_plugins(files: tuple[str, ...], as_json: bool) -> None:
    """List plugins, their components, and plugins that failed to load, with tracebacks."""
    from ganbench.hookspecs import PROJECT
    from ganbench.plugins.discovery import DISABLE, discover

    catalogue = discover(files)
    if as_json:
        click.echo(json.dumps(_listing(catalogue), indent=1))
        return
    for kind, components in catalogue.components.items():
        click.echo(click.style("losses" if kind == "loss" else f"{kind}s", bold=True))
        width = max(map(len, components), default=0)
        for name, registered in sorted(components.items()):
            # most are built in: only others name their owners
            owner = "" if registered.distribution == PROJECT else f"({registered.origin}) "
            click.echo(printable(f"  {name:<{width}}  {owner}{registered.summary}", _columns()))
    click.echo(click.style("plugins", bold=True))
    for name, owner in catalogue.plugins.items():
        click.echo(
            _wrapped(
                f"  {name}: {owner}{_remark(catalogue.loading[name], catalogue.owners[name] == PROJECT)}"
            )
        )
    for name, owner in catalogue.disabled.items():
        click.echo(_wrapped(f"  {name}: {owner}, disabled by {DISABLE}"))
    for failure in catalogue.failures:
        line = f"failed: {failure.plugin} of {failure.distribution}: {failure.message}"
        click.echo(click.style(_wrapped(line), fg="red"))
        for line in failure.traceback.splitlines():
            click.echo(printable(f"    {line}", _WHOLE))


@plugins.command()
@click.argument("name")
@_FILES
@_JSON
def show(name: str, files: tuple[str, ...], as_json: bool) -> None:
    """Show the components called NAME: description, provider, options."""
    from ganbench.plugins.describe import describe
    from ganbench.plugins.discovery import discover

    catalogue = discover(files)
    # components of different kinds may share a name
    matches = {kind: known[name] for kind, known in catalogue.components.items() if name in known}
    if not matches:
        names = {name for known in catalogue.components.values() for name in known}
        raise BadInput(f"there is no component {name!r}; {nearest(name, names)}")
    described = [describe(registered) for registered in matches.values()]
    if as_json:
        click.echo(json.dumps(described, indent=1))
        return
    for component in described:
        label = printable(f"{component['kind']} {component['name']}")
        # styled after wrapping, which would count the escape codes as characters
        heading = _wrapped(f"{label}  ({component['owner']})")
        click.echo(heading.replace(label, click.style(label, bold=True), 1))
        for line in ["", *_lines(component["doc"]), ""]:
            click.echo(_wrapped(line, hanging=0))
        for option in component["options"]:
            swept = ", may be swept in a stack" if option["sweepable"] else ""
            click.echo(_wrapped(f"  {option['name']}: {option['type']} = {option['default']}{swept}"))
        for fact, value in component["facts"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            click.echo(_wrapped(f"  {fact}: {text}"))


def _columns() -> int:
    """The greatest length of a line: the width of the terminal, or unlimited in a pipe."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else _WHOLE


def _wrapped(line: str, hanging: int = 2) -> str:
    """The line, wrapped if it is too long; further lines are indented by `hanging` more."""
    indent = " " * (len(line) - len(line.lstrip()) + hanging)
    safe = printable(line, _WHOLE)
    return textwrap.fill(safe, _columns(), subsequent_indent=indent, break_on_hyphens=False)


def _lines(doc: str) -> Iterator[str]:
    """The lines of a docstring; on a terminal one line per paragraph, to be wrapped to its width."""
    for number, paragraph in enumerate(doc.split("\n\n")):
        # indented lines are a list, such as one of arguments: it keeps its lines
        joined = sys.stdout.isatty() and "\n " not in paragraph
        yield from [""] if number else []
        yield from [paragraph.replace("\n", " ")] if joined else paragraph.splitlines()


def _listing(catalogue: Catalogue) -> dict[str, object]:
    return {
        "components": {
            kind: {name: registered.origin for name, registered in sorted(known.items())}
            for kind, known in catalogue.components.items()
        },
        "plugins": catalogue.plugins,
        "seconds": {name: loading.seconds for name, loading in catalogue.loading.items()},
        "disabled": catalogue.disabled,
        "failures": [dataclasses.asdict(failure) for failure in catalogue.failures],
    }


def _remark(loading: Loading, ours: bool) -> str:
    """A remark on a plugin that is slow to import; not on ganbench's own, whose time includes torch's."""
    slow = loading.slow and not ours
    return f", slow to import: {loading.seconds:.1f} s" if slow else ""
