"""Every command of the README runs; its files are taken from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
BLOCKS = [match.groupdict() for match in BLOCK.finditer(README)]
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in BLOCKS
    if block["kind"] == "sh" and not block["mark"]
    for line in block["text"].splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the README shows."""
    path = tmp_path_factory.mktemp("readme")
    for block in BLOCKS:
        if (block["mark"] or "").startswith("file: "):
            (path / block["mark"].removeprefix("file: ")).write_text(block["text"], encoding="utf-8")
    return path


def run(command: list[str] | str, folder: Path) -> str:
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    done = subprocess.run(
        command, shell=isinstance(command, str), cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_commands_for_the_three_uses() -> None:
    assert len(COMMANDS) >= 7
    assert {command.split()[1] for command in COMMANDS} >= {"suites", "plan", "run", "report", "plugins"}


def test_commands_and_python(folder: Path) -> None:
    """In the order of the README, for later ones read what earlier ones wrote."""
    output = {command: run(command, folder) for command in COMMANDS}
    assert "quickstart" in output["ganbench suites"]
    assert "margin: float = 1.0" in output["ganbench plugins show margin-hinge --plugin margin_hinge.py"]
    assert "margin-hinge" in output[COMMANDS[-1]]
    for block in BLOCKS:
        if block["kind"] == "python" and block["mark"] == "python":
            run([sys.executable, "-c", block["text"]], folder)


def test_the_two_commands_are_what_ci_runs() -> None:
    marked = {block["mark"]: block["text"] for block in BLOCKS if (block["mark"] or "").startswith("command")}
    assert set(marked) == {"command: run", "command: test"}
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "command: test" in ci


def test_every_outcome_is_named() -> None:
    from ganbench.outcome import OUTCOMES

    assert [name for name in OUTCOMES if f"`{name}`" not in README] == []
