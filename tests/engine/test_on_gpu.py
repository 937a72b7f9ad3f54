"""Training on a GPU: a pretended one everywhere, a real one where it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import TOY, environment, ganbench_here

import ganbench

CASES = ("on_pretended_gpu.py", "on_pretended_gpu_draws.py")


@pytest.mark.parametrize("cases", CASES)
def test_on_a_pretended_gpu(cases):
    """In a process of its own: torch asks once, before its first gradient, which devices there are."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", cases]
    done = subprocess.run(
        command, env=environment(), cwd=Path(__file__).parent, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout or "skipped" in done.stdout


@pytest.mark.gpu
def test_a_suite_runs_to_its_report(tmp_path):
    done = ganbench_here("run", TOY, "--device", "cuda", "--out", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "report.html").exists()
    assert not ganbench.load(tmp_path).runs["outcome"].isin(["crashed", "incompatible"]).any()
    for config in tmp_path.glob("stacks/*/config.json"):
        engine = json.loads(config.read_text())["engine"]
        assert engine["executor"] == "cuda-graph", engine["why"]
