"""Wheels, and a fresh environment that they are installed into."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command that succeeds prints, without this process's PYTHONPATH and VIRTUAL_ENV."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(folder: Path, projects: Sequence[Path]) -> Path:
    """The bin folder of a new environment in `folder` in which wheels of `projects` are installed.

    Torch and the like come from the environment of this process: its folders are on the path, after its own.
    """
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder / "wheels", *projects, cwd=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "heavy.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert len(wheels) == len(projects)
    python = folder / "venv" / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", *wheels, cwd=folder)
    return folder / "venv" / "bin"
