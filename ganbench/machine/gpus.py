"""The GPUs of this machine.

Asking takes none of them: a context on a GPU holds memory, and would keep the worker out where a GPU serves
only one process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from ganbench.errors import BadInput

SECONDS = 120.0
"""Time that the GPUs get to answer: torch is loaded, and a driver may have to wake up."""

_QUESTION = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
cards = map(torch.cuda.get_device_properties, range(count))
print(json.dumps([[card.name, card.total_memory, [card.major, card.minor]] for card in cards]))
"""
"""A process of its own answers it, and takes its contexts along when it ends."""


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Arguments:
        index: its number here: `--device cuda:1` names the one with index 1.
        name: of the model, such as "NVIDIA H200".
        memory: in bytes.
        capability: the compute capability, such as (9, 0).
        visible: how CUDA_VISIBLE_DEVICES names it.
    """

    index: int
    name: str
    memory: int
    capability: tuple[int, int]
    visible: str


class Card(NamedTuple):
    """What torch says of a GPU."""

    name: str
    memory: int
    capability: tuple[int, int]


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in torch's order; empty where there is none."""
    cards = _cards()
    return tuple(Gpu(index, *card, visible=name) for index, (card, name) in enumerate(_named(cards)))


def _named(cards: Sequence[Card]) -> list[tuple[Card, str]]:
    """Each card with its name in CUDA_VISIBLE_DEVICES."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    # What the user listed is kept word for word: an index, a UUID or a part of a GPU.
    names = [str(n) for n in range(len(cards))] if listed is None else [s.strip() for s in listed.split(",")]
    return list(zip(cards, names, strict=False))  # CUDA ends the list at the first name that it does not know


@cache
def _cards() -> tuple[Card, ...]:
    import torch

    # By the driver's library, which makes no context, so that machines without a GPU need no second process.
    if torch.cuda.device_count() == 0:
        return ()
    command = [sys.executable, "-P", "-c", _QUESTION]  # -P: a file torch.py of the user is not torch
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        last = said.strip().splitlines()[-1]
        raise BadInput(f"the GPUs of this machine do not answer ({last}); choose --device cpu") from error
    answer = json.loads(done.stdout.splitlines()[-1])
    return tuple(Card(name, memory, (major, minor)) for name, memory, (major, minor) in answer)
