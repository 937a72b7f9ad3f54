"""What `--device` accepts, and that planning for GPUs takes none."""

from __future__ import annotations

import pytest
import torch
from run_cli import TOY, ganbench_here

from ganbench.errors import BadInput
from ganbench.machine import gpus
from ganbench.machine.gpus import Card
from ganbench.planning.choice import settings
from ganbench.planning.devices import chosen_gpus

LARGE, SMALL = Card("NVIDIA H200", 140 * 10**9, (9, 0)), Card("NVIDIA T4", 16 * 10**9, (7, 5))


@pytest.fixture
def three(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "_cards", lambda: (LARGE, LARGE, SMALL))


@pytest.mark.parametrize(
    ("device", "chosen"),
    [
        (None, [0, 1, 2]),
        ("cuda", [0, 1, 2]),
        ("cuda:1", [1]),
        ("cuda:2,0", [2, 0]),
        ("cpu", []),
    ],
)
def test_devices(three, device, chosen):
    assert [gpu.index for gpu in chosen_gpus(device)] == chosen


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("mps", "does not train on mps devices; choose --device cpu"),
        ("xpu:0", "does not train on xpu devices"),
        ("cudda", "did you mean 'cuda'?"),
        ("cuda:", "names no GPUs; write a list such as cuda:0,1"),
        ("cuda:0,", "names no GPUs"),
        ("cuda:-1", "names no GPUs"),
        ("cuda:one", "names no GPUs"),
        ("cuda:3", "there is no GPU 3 on this machine; there is 0 (NVIDIA H200), 1 (NVIDIA H200) and 2"),
        ("cuda:1,1", "names GPU 1 twice"),
    ],
)
def test_bad_devices(three, device, told):
    done = ganbench_here("plan", TOY, "--device", device)
    assert done.code == 2
    assert told in done.err.replace("\n", " ")


def test_no_gpu(monkeypatch):
    monkeypatch.setattr(gpus, "_cards", lambda: ())
    assert chosen_gpus(None) == ()
    for device in ("cuda", "cuda:0"):
        with pytest.raises(BadInput, match="no CUDA device is available"):
            chosen_gpus(device)


def test_planning_for_gpus_takes_none(three, tmp_path):
    """There need not even be one."""
    begun = torch.cuda.is_initialized()
    made = ganbench_here("plan", TOY, "--device", "cuda", "--out", tmp_path, "--json").json()
    assert torch.cuda.is_initialized() == begun
    assert made["workers"] == 3
    assert {stack["engine"]["device"] for stack in made["stacks"]} == {"cuda"}


def test_a_worker_a_gpu(three, toys):
    done = ganbench_here("plan", TOY, "--device", "cuda:0,1", "--workers", 4)
    assert done.code == 2
    assert "--workers 4: each GPU has one worker; choose at most 2" in done.err
    fewer = settings("cuda:2,1", "auto", 1, toys)
    assert (fewer.workers, [gpu.index for gpu in fewer.gpus]) == (1, [2])
