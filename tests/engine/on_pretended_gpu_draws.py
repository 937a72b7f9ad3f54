"""Draws on a pretended GPU. `test_on_gpu.py` runs them."""

from __future__ import annotations

import itertools

import pytest
import torch
from pretended_gpu import pretended_gpu

from ganbench.game.draws import Draw, Order, draw_steps

DECLARED = {"noise": Draw((5, 3)), "mix": Draw((6,), "uniform")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_chunk_is_that_of_the_cpu(dtype):
    arguments = (DECLARED, (7, 0, 3), "turn0", range(128, 192), dtype)
    on_cpu = draw_steps(*arguments, "cpu")
    with pretended_gpu():
        on_gpu = draw_steps(*arguments, "cuda:0")
        assert all(tensor.device.type == "cuda" for tensor in on_gpu.values())
        copied = {name: torch.tensor(tensor.tolist(), dtype=dtype) for name, tensor in on_gpu.items()}
    for name in DECLARED:
        assert torch.equal(on_cpu[name], copied[name])


def test_no_run_is_drawn_by_itself():
    """As many operations for 50 runs as for 2."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counted(TorchDispatchMode):
        number = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.number += 1
            return func(*args, **(kwargs or {}))

    counts = []
    with pretended_gpu():
        for runs, _ in itertools.product((2, 50), range(2)):  # twice: what is done once does not count
            with Counted() as counted:
                draw_steps(DECLARED, tuple(range(runs)), "turn0", range(64), torch.float32, "cuda:0")
            counts.append(counted.number)
    assert counts[1] == counts[3] > 0


def test_orders_are_those_of_the_cpu():
    on_cpu = Order(3, 40, 8).indices(0, 12)
    with pretended_gpu():
        assert Order(3, 40, 8).indices(0, 12).tolist() == on_cpu.tolist()
