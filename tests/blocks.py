"""The code blocks of Markdown pages: files to write, commands and Python to run.

A block in front of which stands `<!-- file: NAME -->` is that file, `<!-- python -->` is Python to run,
`<!-- shown -->` is shown only. Every other `sh` block is run, line by line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


class Block(NamedTuple):
    """A code block: what stands before it, its language, its text."""

    mark: str
    kind: str
    text: str

    @property
    def file(self) -> str:
        """The name of the file that it is, or nothing."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else ""

    @property
    def commands(self) -> list[str]:
        """The lines that are to be run."""
        runs = self.kind == "sh" and not self.mark
        return [line.partition("  #")[0].strip() for line in self.text.splitlines()] if runs else []

    @property
    def has_a_purpose(self) -> bool:
        """Whether it is run, written, or said to be shown only."""
        return bool(self.mark or self.commands) or self.kind in ("text", "json")


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(one["mark"] or "", one["kind"], one["text"]) for one in found]


def run(command: list[str] | str, folder: Path) -> str:
    """What a command that succeeds prints."""
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    done = subprocess.run(
        command, shell=isinstance(command, str), cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


Runner = Callable[[str, Path], str]
"""Runs a command line in a folder and returns what it prints."""


def follow(page: list[Block], folder: Path, runner: Runner = run) -> Iterator[tuple[str, str]]:
    """Do what a page says, in `folder`: pairs of a command and what it printed."""
    for block in page:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
    for block in page:
        for command in block.commands:
            yield command, runner(command, folder)
        if block.mark == "python":
            run([sys.executable, "-W", "error", "-c", block.text], folder)
