"""Whole suites on a pretended GPU, cut short: they end with their report, and no stack crashes.

`test_without_gpu.py` runs these tests.
"""

from __future__ import annotations

import json

import pytest
from pretended_gpu import pretended_gpu
from run_cli import ganbench_here

import ganbench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * 3600)]
CUT = ("--steps", 4, "--set", "defaults.evaluate.every=2", "--set", "defaults.evaluate.samples=100")


@pytest.mark.parametrize("name", ["quickstart", "zoo", "failures"])
def test_a_suite_ends_with_its_report(tmp_path, name):
    with pretended_gpu():
        arguments = ("--device", "cuda", "--engine", "eager", "--seeds", 2, *CUT, "--out", tmp_path)
        done = ganbench_here("run", name, *arguments)
    assert done.code == 0, done.out + done.err
    assert (tmp_path / "report.html").stat().st_size > 100_000
    runs = ganbench.load(tmp_path).runs
    assert set(runs["outcome"]).isdisjoint({"crashed", "incompatible"})
    assert runs["seed"].nunique() == 2
    for config in tmp_path.glob("stacks/*/config.json"):
        engine = json.loads(config.read_text())["engine"]
        assert (engine["mapper"], engine["device"], engine.get("why")) == ("map", "cuda", None)
