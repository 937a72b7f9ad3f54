"""Modules of the package keep to one another's public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ganbench"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
PRIVATE_IMPORTS: set[tuple[str, str]] = set()
"""(module, name) that may be imported although it is private: none."""


def private_imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module of the package, private name) that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("ganbench")):
            for alias in node.names:
                if private(alias.name):
                    yield node.module or ".", alias.name


def private(name: str) -> bool:
    """Whether a name has one leading underscore. The version's module is hatchling's to read."""
    return name.startswith("_") and not name.startswith("__") and name != "_version"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_private_name_of_another_module_is_imported(path):
    assert set(private_imports(path)) - PRIVATE_IMPORTS == set()
