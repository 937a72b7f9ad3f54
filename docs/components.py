"""Writes a page for every component that is installed, from its docstring and options.

python docs/components.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganbench.plugins.describe import describe
from ganbench.plugins.discovery import Catalogue, discover

PLURALS = {
    "model": "Models",
    "loss": "Losses",
    "technique": "Techniques",
    "dataset": "Data sets",
    "metric": "Metrics",
    "extractor": "Feature extractors",
    "executor": "Executors",
    "logger": "Loggers",
}


def main(folder: Path) -> None:
    """Write an index and one page a component into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages():
        (folder / Path(path).name).write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[str, str]]:
    """Path in the docs and text of every page."""
    catalogue = discover()
    yield "components/index.md", index(catalogue)
    for kind, known in catalogue.components.items():
        for name, registered in known.items():
            yield f"components/{kind}-{name}.md", page(describe(registered))


def index(catalogue: Catalogue) -> str:
    """All components by kind, a line each."""
    lines = ["# Components", ""]
    for kind, known in catalogue.components.items():
        lines += [f"## {PLURALS[kind]}", "", "| name | what it is |", "| --- | --- |"]
        for name, registered in sorted(known.items()):
            lines.append(f"| [`{name}`]({kind}-{name}.md) | {cell(registered.summary)} |")
        lines.append("")
    return "\n".join(lines)


def page(described: dict[str, Any]) -> str:
    """One component: what it is, its facts, its options."""
    lines = [f"# {described['name']}", "", f"A {described['kind']} of {described['owner']}.", ""]
    for fact, value in described["facts"].items():
        lines.append(f"* **{fact}**: {told(value)}")
    lines += ["", body(described["doc"]), ""]
    if described["options"]:
        lines += ["## Options", "", "| option | type | default | swept in a stack | meaning |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for option in described["options"]:
            cells = (f"`{option['name']}`", f"`{cell(option['type'])}`", f"`{cell(option['default'] or '')}`")
            swept = "yes" if option["sweepable"] else "no"
            lines.append(f"| {' | '.join(cells)} | {swept} | {cell(option['meaning'])} |")
    return "\n".join(lines).rstrip() + "\n"


def body(doc: str) -> str:
    """The docstring without its section on arguments, which is the table of options."""
    before, found, section = doc.partition("\nArguments:\n")
    if not found:
        return doc.strip()
    rest = section.splitlines()
    while rest and (rest[0].startswith("    ") or not rest[0]):
        rest.pop(0)
    return "\n".join([before.strip(), "", *rest]).strip()


def told(value: Any) -> str:
    """A fact in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {told(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " + ".join(map(told, value))
    return f"`{value}`"


def cell(text: str) -> str:
    """Text that stays inside a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
