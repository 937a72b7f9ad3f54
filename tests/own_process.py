"""Tests that need a process of their own: files of cases, which other tests start by pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from run_cli import environment

LONGEST = 900
"""Seconds that the default cases of a file may take on a busy machine."""


def cases_pass(cases: Path, marked: str = "not slow", chosen: str = "", timeout: float = LONGEST) -> None:
    """The cases of a file pass in a process of their own.

    torch asks once, before its first gradient, which devices there are: a process that pretends to have a GPU
    must not have computed without one.

    Arguments:
        marked, chosen: what pytest takes as -m and -k.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-m", marked, "-k", chosen, str(cases)],
        env=environment(),
        cwd=cases.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout or " skipped" in done.stdout
