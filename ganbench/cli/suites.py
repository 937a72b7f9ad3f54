"""`ganbench suites`."""

from __future__ import annotations

import json

import click


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def suites(context: click.Context, as_json: bool) -> None:
    """List the installed suites; show one; print the schema of suite files."""
    if context.invoked_subcommand:
        return
    import tomllib

    from ganbench.plugins.discovery import discover

    found = {}
    for name, path in sorted(discover().suites.items()):
        # read as plain TOML: listing needs no valid suite, only its description
        try:
            found[name] = str(tomllib.loads(path.read_text(encoding="utf-8")).get("description", ""))
        except (OSError, ValueError) as error:
            found[name] = f"cannot be read: {error}"
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    width = max(map(len, found), default=0)
    for name, description in found.items():
        click.echo(f"{name:<{width}}  {description}")


@suites.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the suite file called NAME."""
    from ganbench.plugins.discovery import discover
    from ganbench.suites.load import find_suite

    # nl=False: the output is the file, byte for byte
    click.echo(find_suite(name, discover()).read_text(encoding="utf-8"), nl=False)


@suites.command()
def schema() -> None:
    """Print the JSON schema of suite files."""
    from ganbench.suites.load import json_schema

    click.echo(json.dumps(json_schema(), indent=1))
