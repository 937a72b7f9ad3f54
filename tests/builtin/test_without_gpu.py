"""What is known of the built-in components on a GPU without having one. Each file of cases runs by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_process import LONGEST, cases_pass

HERE = Path(__file__).parent
TRAINED = HERE / "builtins_on_pretended_gpu.py"
SUITES = HERE / "suites_on_pretended_gpu.py"
TRACED = HERE / "on_cuda_without_one.py"
HOURS = 2 * 3600
"""Seconds that the slow cases may take on a busy machine."""


@pytest.mark.timeout(LONGEST)
def test_a_selection_trains_on_a_pretended_gpu():
    cases_pass(TRAINED)


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
def test_a_selection_on_cuda_without_one():
    cases_pass(TRACED)


@pytest.mark.slow
@pytest.mark.timeout(HOURS)
@pytest.mark.parametrize(
    "chosen", ["model", "loss", "technique", "optimizer or metric or data_set or streamed"]
)
def test_every_built_in_trains_on_a_pretended_gpu(chosen):
    cases_pass(TRAINED, "slow", chosen, HOURS)


@pytest.mark.slow
@pytest.mark.timeout(HOURS)
@pytest.mark.parametrize("name", ["quickstart", "zoo", "failures"])
def test_suites_on_a_pretended_gpu(name):
    cases_pass(SUITES, "slow", name, HOURS)


@pytest.mark.slow
@pytest.mark.timeout(HOURS)
@pytest.mark.parametrize("chosen", ["operations", "code"])
def test_every_built_in_on_cuda_without_one(chosen):
    cases_pass(TRACED, "slow", chosen, HOURS)
