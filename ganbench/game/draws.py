"""Randomness as data: every random number of a run is a function of its seed, role, step and place.

It depends on nothing else: not on the neighbours in a stack, not on how or on which device the step is
executed, not on where training was interrupted. So nothing random is ever saved, and any step can be drawn
anew.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ganbench.game import philox
from ganbench.game.philox import Distribution

CHUNK = 64
"""Training steps drawn at once. No result depends on it.

One call for 64 steps makes drawing cheap even for small networks, and 64 steps of latents still fit beside
large ones.
"""
_SMALL_EPOCH = 64
"""Batches drawn at once from a table smaller than a batch. Changing it changes such orders, and results."""


@dataclass(frozen=True)
class Draw:
    """A random tensor that a step reads: its shape for one run, and its distribution.

    "normal" is N(0, 1), "uniform" is U[0, 1).
    """

    shape: tuple[int, ...]
    distribution: Distribution = "normal"


def stream(device: torch.device | str, seed: int, *role: object) -> torch.Generator:
    """A generator of torch's, for what draws by one: data sets, orders, metrics.

    On a GPU, what it draws depends on the model of the card.
    """
    text = "/".join(map(str, (seed, *role)))
    # hashed, so that streams of neighbouring seeds have nothing in common; 63 bits, which all generators take
    return torch.Generator(device).manual_seed(_hash(text) >> 1)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


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
    declared: Mapping[str, Draw],
    seed: int,
    role: str,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    step: int = 0,
) -> dict[str, Tensor]:
    """All declared tensors of one run and step."""
    drawn = draw_steps(declared, (seed,), role, range(step, step + 1), dtype, device)
    return {name: tensor[0, 0] for name, tensor in drawn.items()}


def draw_steps(
    declared: Mapping[str, Draw],
    seeds: tuple[int, ...],
    role: str,
    steps: range,
    dtype: torch.dtype,
    device: torch.device | str,
) -> dict[str, Tensor]:
    """All declared tensors of several runs and steps: each is steps x seeds x shape."""
    return {
        name: philox.drawn(
            one.distribution,
            torch.from_numpy(_keys(seeds, role, name)).to(device),
            steps,
            math.prod(one.shape),
            dtype,
        ).view(len(steps), len(seeds), *one.shape)
        for name, one in declared.items()
    }


@lru_cache(maxsize=256)
def _keys(seeds: tuple[int, ...], role: str, name: str) -> np.ndarray:
    """The two 32-bit words of each seed's key: kept, as every chunk asks for them."""
    # numpy's integers are written otherwise, so `int`
    hashes = np.array([_hash(repr((int(seed), role, name))) for seed in seeds], dtype=np.uint64)
    return np.stack([hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32)], axis=1).astype(np.int64)


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
        """Sample numbers (count x batch) of the batches first, first + 1, …"""
        rows = []
        last = first + count
        while first < last:
            epoch, position = divmod(first, self._batches_an_epoch)
            rows.append(self._epoch(epoch)[position : position + last - first])
            first += len(rows[-1])
        return torch.cat(rows)

    @property
    def _batches_an_epoch(self) -> int:
        # A data set smaller than a batch has no epoch: so many batches are drawn in its place.
        return _SMALL_EPOCH if self.size < self.batch else self.size // self.batch

    def _epoch(self, epoch: int) -> Tensor:
        if self._cached[0] != epoch:
            generator = stream("cpu", self.seed, self.role, epoch)  # on every device the same order
            shape = (self._batches_an_epoch, self.batch)
            # half the memory, for the same numbers
            dtype = torch.int32 if self.size < 2**31 else torch.int64
            if self.size < self.batch:
                order = torch.randint(self.size, shape, generator=generator, dtype=dtype)
            else:
                order = torch.randperm(self.size, generator=generator, dtype=dtype)
                order = order[: shape[0] * shape[1]].view(shape)
            self._cached = (epoch, order)
        return self._cached[1]
