"""The record that says what closes each finding about CUDA names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
RECORD = TESTS.parent / "docs" / "adr" / "0017-every-finding-about-cuda.md"


def test_every_finding_stands_there_once():
    rows = re.findall(r"^\| (\d+) \| \S.* \| \S.* \|$", RECORD.read_text("utf-8"), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 27)]


def test_the_tests_exist():
    named = re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", RECORD.read_text("utf-8"))
    named = [
        (path, name) for path, name in named if path.split("/")[-1].startswith(("test_", "on_", "faults"))
    ]
    assert len(named) > 30
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}" not in (TESTS / path.removeprefix("tests/")).read_text("utf-8")
    ]
    assert not missing
