"""The questions on a GPU: a pretended one everywhere, a real one where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import environment, ganbench_process, needs_builtins

CASES = Path(__file__).with_name("on_pretended_gpu_doctor.py")


@pytest.mark.slow
@needs_builtins
def test_on_a_pretended_gpu():
    """In a process of its own: torch asks once, before its first gradient, which devices there are."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(CASES)]
    engine = str(CASES.parents[1] / "engine")  # the pretended GPU lies there
    path = os.pathsep.join([engine, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, env=environment(PYTHONPATH=path), cwd=CASES.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout or "skipped" in done.stdout


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_builtins
def test_this_gpu(tmp_path):
    done = ganbench_process("doctor", "--quick", "--json", "--device", "cuda", cwd=tmp_path, timeout=800)
    assert done.code == 0, done.err
    found = done.json()
    assert found["way"] == "cuda-graph", found["ways"]
    assert all(one["difference"] < one["tolerance"] for one in found["agreements"]), found["agreements"]
    assert found["waits"]["waits"][0] == found["waits"]["waits"][1], found["waits"]
