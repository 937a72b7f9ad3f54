"""The quick part on a pretended GPU, which neither compiles nor captures. `test_doctor_on_gpu.py` runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pretended_gpu import pretended_gpu

from ganbench.doctor import examination
from ganbench.doctor.children import Lost
from ganbench.doctor.examination import Examination
from ganbench.doctor.findings import Facts
from ganbench.doctor.games import Name
from ganbench.executors import Compiled, CudaGraph, UncompiledCudaGraph
from ganbench.text import first_line


def here(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Answered in this process, where the GPU is pretended."""
    try:
        return function(*args)
    except Exception as error:
        return Lost("raised", first_line(error))


@pytest.fixture
def uncompiled(monkeypatch):
    monkeypatch.setattr(examination, "ask", here)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda mode: None)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)  # asks the library
    for executor in (Compiled, CudaGraph, UncompiledCudaGraph):
        monkeypatch.setattr(executor, "available", lambda self, device: "not on a pretended GPU")


@pytest.mark.timeout(1500)  # operation by operation, each of them looked at
def test_the_quick_part(uncompiled):
    with pretended_gpu():
        report = Examination("cuda", 5, lambda subject: None).quick()
    assert isinstance(report.facts, Facts), report.facts
    assert report.facts.gpu is not None
    assert (report.facts.gpu.name, report.facts.gpu.supported) == ("pretended", True)
    assert report.way == "eager", report.ways
    assert [way.reason for way in report.ways[:-1]] == ["not on a pretended GPU"] * 3
    assert isinstance(report.agreements, tuple), report.agreements
    assert len(report.agreements) == len(Name) + 1
    assert all(one.holds for one in report.agreements), report.agreements
    assert not isinstance(report.waits, Lost), report.waits
    assert not report.waits.in_steps
