"""Asking for the GPUs: nothing is taken, and the user's own choice is kept."""

from __future__ import annotations

import json
import subprocess

import pytest
import torch

from ganbench.errors import BadInput
from ganbench.machine import gpus
from ganbench.machine.gpus import Gpu

TWO = [["NVIDIA A100", 40 * 10**9, [8, 0]], ["NVIDIA H200", 140 * 10**9, [9, 0]]]


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    gpus._cards.cache_clear()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    gpus._cards.cache_clear()


def answer(monkeypatch, said):
    """The driver says that there are GPUs, and a process answers `said`. Returns how often one was asked."""
    asked = []

    def run(command, **how):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, f"a greeting\n{json.dumps(said)}\n", "")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(said))
    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_without_a_gpu_no_process_is_started(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(subprocess, "run", None)
    assert gpus.gpus() == ()


def test_gpus_are_asked_once(monkeypatch):
    asked = answer(monkeypatch, TWO)
    assert gpus.gpus() == gpus.gpus() == (
        Gpu(0, "NVIDIA A100", 40 * 10**9, (8, 0), "0"),
        Gpu(1, "NVIDIA H200", 140 * 10**9, (9, 0), "1"),
    )  # fmt: skip
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("listed", "names"),
    [("3,1", ["3", "1"]), ("GPU-1a2b, 0", ["GPU-1a2b", "0"]), ("MIG-7,2,-1,0", ["MIG-7", "2"])],
)
def test_gpus_are_named_as_the_user_named_them(monkeypatch, listed, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    answer(monkeypatch, TWO)
    assert [gpu.visible for gpu in gpus.gpus()] == names
    assert [gpu.index for gpu in gpus.gpus()] == [0, 1]


def test_what_the_other_process_says_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(gpus, "_QUESTION", "raise RuntimeError('the driver is asleep')")
    with pytest.raises(
        BadInput, match=r"do not answer \(RuntimeError: the driver is asleep\); choose --device cpu"
    ):
        gpus.gpus()


def test_the_other_process_finds_what_is_there(monkeypatch):
    """The question itself, as it is asked."""
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    began = torch.cuda.is_initialized()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert len(gpus.gpus()) == here
    assert torch.cuda.is_initialized() == began
