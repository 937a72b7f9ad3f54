"""What `--device` stands for: the CPU, or some of the GPUs of this machine."""

from __future__ import annotations

import re

from ganbench.errors import BadInput, nearest
from ganbench.machine.gpus import Gpu, gpus
from ganbench.text import listed

_ELSEWHERE = ("mps", "xpu")
"""Devices of torch that ganbench does not train on: Apple's and Intel's GPUs."""


def chosen_gpus(device: str | None) -> tuple[Gpu, ...]:
    """The GPUs to train on; none for the CPU. Without a choice: all there are."""
    if device is None:
        return gpus()
    if device == "cpu":
        return ()
    kind, _, numbers = device.partition(":")
    if kind in _ELSEWHERE:
        raise BadInput(
            f"ganbench does not train on {kind} devices; choose --device cpu, or cuda if it is there"
        )
    if kind != "cuda":
        raise BadInput(f"unknown device {device!r}; {nearest(device, ['cpu', 'cuda'])}")
    found = gpus()
    if not found:
        raise BadInput("no CUDA device is available on this machine; choose --device cpu")
    return found if device == kind else _picked(numbers, found)


def _picked(numbers: str, found: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """The GPUs of these numbers, a list such as "1,3"."""
    device = f"cuda:{numbers}"
    if not re.fullmatch(r"\d+(,\d+)*", numbers):
        raise BadInput(f"--device {device} names no GPUs; write a list such as cuda:0,1")
    indices = [int(number) for number in numbers.split(",")]
    there = listed([f"{gpu.index} ({gpu.name})" for gpu in found], limit=16)
    for index in indices:
        if index >= len(found):
            raise BadInput(f"--device {device}: there is no GPU {index} on this machine; there is {there}")
        if indices.count(index) > 1:
            raise BadInput(f"--device {device} names GPU {index} twice; name each once")
    return tuple(found[index] for index in indices)
