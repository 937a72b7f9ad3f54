"""The pages of components, made from what is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import needs_builtins

from ganbench.plugins.describe import describe, meanings, wrapped

DOCS = Path(__file__).parents[2] / "docs"
CITED = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|\b(19|20)\d\d\b")
PAPERLESS = {
    "eager",
    "cuda-graph",
    "cuda-graph-uncompiled",
    "identity",
    "arrays",
    "image-folder",
    "map-folders",
    "unpaired-folders",
}
"""Components that no paper is of."""


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("components_pages", DOCS / "components.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_meanings_are_read_from_the_docstring():
    doc = "A thing.\n\nMore.\n\nArguments:\n    a: one,\n        in two lines.\n    b, c: both.\n\nEnd: x"
    assert meanings(doc) == {"a": "one, in two lines.", "b": "both.", "c": "both."}


def test_a_page_has_wraps_options_and_heading(pages, toys):
    described = describe(toys.get("technique", "toy-penalty"))
    assert described["facts"]["wraps"] == ["objective", "field", "rule"]
    page = pages.page(described)
    assert page.startswith("# toy-penalty\n")
    assert "`weight`" in page
    assert "**wraps**: `objective` + `field` + `rule`" in page


@needs_builtins
def test_a_relativistic_loss_is_described_as_paired(builtins):
    hinge, relativistic = (
        describe(builtins.get("loss", name))["facts"] for name in ("hinge", "relativistic")
    )
    assert "pairs" not in hinge
    assert relativistic["pairs"] is True


@needs_builtins
def test_every_component_has_a_page(pages, builtins, tmp_path):
    pages.main(tmp_path)
    index = (tmp_path / "index.md").read_text("utf-8")
    for kind, known in builtins.components.items():
        for name, registered in known.items():
            page = (tmp_path / f"{kind}-{name}.md").read_text("utf-8")
            assert f"({kind}-{name}.md)" in index
            assert all(f"`{option['name']}`" in page for option in describe(registered)["options"])


@needs_builtins
def test_every_component_cites_its_source_first(builtins):
    uncited = [
        name
        for known in builtins.components.values()
        for name, registered in known.items()
        if not CITED.search(registered.summary)
    ]
    assert set(uncited) <= PAPERLESS


@needs_builtins
def test_every_option_of_a_built_in_is_explained(builtins):
    """In the section "Arguments:", or by its name in the text."""
    unexplained = [
        f"{name}.{option['name']}"
        for known in builtins.components.values()
        for name, registered in known.items()
        for described in [describe(registered)]
        for option in described["options"]
        if not option["meaning"] and not re.search(rf"\b{option['name']}\b", described["doc"])
    ]
    assert unexplained == []


@needs_builtins
def test_every_technique_wraps_something(builtins):
    assert [name for name, found in builtins.components["technique"].items() if not wrapped(found.cls)] == []


@needs_builtins
def test_adding_a_loss_takes_one_file(tmp_path):
    """The file of docs/add-a-loss.md, put into a copy of the tree."""
    text = (DOCS / "add-a-loss.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    tree = tmp_path / "ganbench_builtin"
    shutil.copytree(DOCS.parent / "plugins" / "ganbench_builtin", tree)
    (tree / "losses" / "margin_hinge.py").write_text(code, encoding="utf-8")
    program = "from ganbench.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "160"}
    for command, expected in (
        (["plugins", "list"], "margin-hinge"),
        (["plugins", "show", "margin-hinge"], "margin: float = 1.0, may be swept in a stack"),
    ):
        told = subprocess.run(
            [sys.executable, "-c", program, *command],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert expected in told
