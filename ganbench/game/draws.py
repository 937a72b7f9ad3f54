"""Randomness as data: every random number of a run comes from a stream keyed by (seed, role, block).

A stream depends on nothing else: not on the neighbours in a stack, not on how the step is executed, not
on where training was interrupted. So nothing random is ever saved, and any block can be drawn anew.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

CHUNK = 64
"""Training steps drawn at once. Part of every stream's meaning: changing it changes results.

One call for 64 steps makes drawing cheap even for small networks, and 64 steps of latents still fit beside
large ones. No random state is saved: a resumed run draws its chunk anew.
"""


@dataclass(frozen=True)
class Draw:
    """A random tensor that a step reads: its shape for one run, and its distribution.

    "normal" is N(0, 1), "uniform" is U[0, 1).
    """

    shape: tuple[int, ...]
    distribution: Literal["normal", "uniform"] = "normal"


def stream(device: torch.device | str, seed: int, *role: object) -> torch.Generator:
    """The generator of one stream."""
    text = "/".join(map(str, (seed, *role)))
    # hashed, so that streams of neighbouring seeds have nothing in common; 63 bits, which all generators take
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
    return torch.Generator(device).manual_seed(key)


_GLOBAL = threading.RLock()


@contextmanager
def isolated_rng(seed: int, *role: object) -> Iterator[None]:
    """Code that insists on torch's global generator (module constructors) runs on a stream of its own.

    The global generator is put back as it was. Threads wait for each other: there is only one.
    """
    with _GLOBAL, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream("cpu", seed, *role).initial_seed())
        yield


def draw(
    declared: Mapping[str, Draw], generator: torch.Generator, dtype: torch.dtype, lead: tuple[int, ...] = ()
) -> dict[str, Tensor]:
    """All declared tensors from one stream, in the order of their names, each lead x shape."""
    # sorted, so that the order in which a model lists its draws is not part of the stream
    return {name: _one(declared[name], generator, dtype, lead) for name in sorted(declared)}


def _one(declared: Draw, generator: torch.Generator, dtype: torch.dtype, lead: tuple[int, ...]) -> Tensor:
    sampler = torch.randn if declared.distribution == "normal" else torch.rand
    return sampler((*lead, *declared.shape), generator=generator, dtype=dtype, device=generator.device)


def draw_chunk(
    declared: Mapping[str, Draw],
    seeds: Sequence[int],
    role: str,
    chunk: int,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """CHUNK steps of draws for several runs: each tensor is CHUNK x len(seeds) x shape."""
    # run by run, not all at once: a run's draws must not depend on which others are in its stack
    runs = [draw(declared, stream(device, seed, role, chunk), dtype, (CHUNK,)) for seed in seeds]
    return {name: torch.stack([run[name] for run in runs], dim=1) for name in declared}


class Order:
    """In which order one run sees its `size` training samples: reshuffled every epoch.

    A last incomplete batch is dropped. A data set smaller than a batch is drawn with replacement. Tables of
    different `role` have orders of their own.
    """

    def __init__(self, seed: int, size: int, batch: int, role: str = "order") -> None:
        self.seed, self.size, self.batch, self.role = seed, size, batch, role
        # The last epoch only: steps ask for one after the other.
        self._cached: tuple[int, Tensor] = (-1, torch.empty(0))

    def indices(self, first: int, count: int) -> Tensor:
        """Sample numbers (int64, count x batch) of the batches first, first + 1, …"""
        rows = []
        last = first + count
        while first < last:
            epoch, position = divmod(first, self._batches_an_epoch)
            rows.append(self._epoch(epoch)[position : position + last - first])
            first += len(rows[-1])
        return torch.cat(rows)

    @property
    def _batches_an_epoch(self) -> int:
        # A data set smaller than a batch has no epoch: CHUNK batches at a time are drawn in its place.
        return max(self.size // self.batch, CHUNK if self.size < self.batch else 1)

    def _epoch(self, epoch: int) -> Tensor:
        if self._cached[0] != epoch:
            generator = stream("cpu", self.seed, self.role, epoch)  # on every device the same order
            shape = (self._batches_an_epoch, self.batch)
            if self.size < self.batch:
                order = torch.randint(self.size, shape, generator=generator)
            else:
                order = torch.randperm(self.size, generator=generator)[: shape[0] * shape[1]].view(shape)
            self._cached = (epoch, order)
        return self._cached[1]
