"""Training on a GPU: a pretended one everywhere, a real one where it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SLOW_TIMEOUT
from own_process import LONGEST, cases_pass
from run_cli import TOY, ganbench_here

import ganbench

HERE = Path(__file__).parent
FAULTS = HERE / "faults_on_pretended_gpu.py"
QUICK = "on_pretended_gpu_draws"
CASES = [
    pytest.param(path, id=path.stem, marks=[] if path.stem == QUICK else pytest.mark.slow)
    for path in (*sorted(HERE.glob("on_pretended_gpu*.py")), FAULTS)
]


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("cases", CASES)
def test_on_a_pretended_gpu(cases):
    cases_pass(cases)


@pytest.mark.slow
def test_all_faults_on_a_pretended_gpu():
    cases_pass(FAULTS, "slow", timeout=SLOW_TIMEOUT)


@pytest.mark.gpu
def test_a_suite_runs_to_its_report(tmp_path):
    done = ganbench_here("run", TOY, "--device", "cuda", "--out", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "report.html").exists()
    assert not ganbench.load(tmp_path).runs["outcome"].isin(["crashed", "incompatible"]).any()
    for config in tmp_path.glob("stacks/*/config.json"):
        engine = json.loads(config.read_text())["engine"]
        assert engine["executor"] == "cuda-graph", engine["why"]
