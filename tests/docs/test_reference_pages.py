"""The pages of the programming interface: every public name is there, with its signature."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import ganbench
from ganbench import stats
from ganbench.components.kinds import KINDS
from ganbench.results import Results
from ganbench.testing import checks_of

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(DOCS))  # it imports its neighbour, components.py
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference) -> dict[str, str]:
    return dict(reference.pages())


def sections(page: str, level: str) -> dict[str, str]:
    """Name in a heading -> the text below it."""
    parts = (part.partition("`\n") for part in f"\n{page}".split(f"\n{level} `")[1:])
    return {name: text.strip() for name, _, text in parts}


def test_every_public_name_is_in_one_group(reference):
    grouped = [name for names, _ in reference.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(ganbench.__all__)


def test_every_public_name_is_described(pages):
    entries = sections(pages["reference/index.md"], "###")
    assert set(entries) == set(ganbench.__all__)
    assert [name for name, text in entries.items() if len(text.splitlines()[-1]) < 10] == []
    assert "input_grad(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor" in entries["input_grad"]
    assert "Turn = tuple[str, ...]" in entries["Turn"]
    assert "`judges(self) -> tuple[str, ...]`" in entries["Model"]


def test_every_member_of_results_is_described(pages):
    entries = sections(pages["reference/results.md"], "##")
    assert set(entries) == {name for name in vars(Results) if not name.startswith("_")} - fields()
    assert all(entries.values())


def fields() -> set[str]:
    return set(getattr(Results, "__dataclass_fields__", ()))


def test_every_statistic_is_described(pages):
    entries = sections(pages["reference/stats.md"], "##")
    assert set(entries) == set(stats.__all__)
    assert all(entries.values())


def test_every_check_is_described(reference):
    table = reference.checks()
    for check in (check for kind in KINDS for check in checks_of(kind)):
        assert f"| `{check.name}` | {check.expected}" in table, check.name
