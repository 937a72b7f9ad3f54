"""Philox in operations on int64 tensors: the definition, for every device.

Nothing here may round, overflow or depend on how operations are fused. Words are held in int64, from 0 to
2^32 - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Distribution = Literal["normal", "uniform"]

_WORD = 0xFFFFFFFF
_ROUNDS = 10
_STRIDES = (0x9E3779B9, 0xBB67AE85)
"""By which the words of the key grow from round to round."""
# less 2^32: their products with words fit int64, whose overflow compilers may take for impossible
_FACTORS = (0xD2511F53 - 2**32, 0xCD9E8D57 - 2**32)

SEGMENTS = 6
"""Octaves of the tail are cut into 2 to this many segments."""
PLACE = 31 - SEGMENTS
"""Bits of the place within a segment."""
FRACTION = 40
"""Normals are counted in units of 2 to minus this."""
TABLE = Path(__file__).with_name("normal_table.npy")
"""Coefficients of the segments' polynomials, 2048 x 4 int64; `python -m benchmarks.draws.table` makes it."""

_ON_CPU, _ELSEWHERE = 2**13, 2**22
"""Blocks at once: on a CPU, they fit its cache; on a GPU, they fit beside the networks."""


def drawn(distribution: Distribution, keys: Tensor, steps: range, count: int, dtype: torch.dtype) -> Tensor:
    """As `ganbench.game.philox.drawn`."""
    blocks = -(-count // 4)
    at_once = _ON_CPU if keys.device.type == "cpu" else _ELSEWHERE
    together = max(1, at_once // max(1, len(keys) * blocks))
    every = torch.arange(steps.start, steps.stop, device=keys.device)
    parts = [_part(distribution, keys, part, blocks, dtype) for part in every.split(together)]
    return torch.cat(parts)[:, :, :count].contiguous()


def _part(distribution: Distribution, keys: Tensor, steps: Tensor, blocks: int, dtype: torch.dtype) -> Tensor:
    block = torch.arange(blocks, device=keys.device)
    # not kept as a tensor: made while a step is traced, it would stay one without numbers
    coefficients = torch.from_numpy(table()).to(keys.device)
    # one kernel on a GPU, where launching a hundred would cost more than they do
    quickest = _fused() if keys.is_cuda and is_plain(keys) else numbers
    return quickest(distribution, dtype, keys, steps, block, coefficients)


def is_plain(tensor: Tensor) -> bool:
    """Whether it has memory that a kernel could read: tensors that are traced are of another class."""
    return type(tensor) is Tensor and type(torch.empty(0)) is Tensor


def numbers(
    distribution: Distribution,
    dtype: torch.dtype,
    keys: Tensor,
    steps: Tensor,
    block: Tensor,
    coefficients: Tensor,
) -> Tensor:
    """All words of the blocks of some steps as numbers: steps x keys x 4 blocks."""
    step = steps[:, None, None]
    counter = (block.expand(len(steps), len(keys), -1), torch.zeros_like(step), step & _WORD, step >> 32)
    # element e of a draw is word e // blocks of block e % blocks: the words lie one after the other
    words = torch.cat(philox(counter, (keys[:, :1], keys[:, 1:])), dim=-1)
    if distribution == "normal":
        return normal(words, coefficients).to(dtype) * 2.0**-FRACTION
    # float32 holds 24 bits: with more, numbers close to 1 would be rounded to 1
    return (words >> 8).to(dtype) * 2.0**-24 if dtype == torch.float32 else words.to(dtype) * 2.0**-32


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """The four words of a counter of four words."""
    c0, c1, c2, c3 = counter
    for number in range(_ROUNDS):
        key0, key1 = ((word + number * stride) & _WORD for word, stride in zip(key, _STRIDES, strict=True))
        even, odd = c0 * _FACTORS[0], c2 * _FACTORS[1]
        # the upper words, 2^32 added to the factors again
        high, other = (even >> 32) + c0, (odd >> 32) + c2
        c0, c1, c2, c3 = other ^ c1 ^ key0, odd & _WORD, high ^ c3 ^ key1, even & _WORD
    return c0, c1, c2, c3


def normal(words: Tensor, coefficients: Tensor) -> Tensor:
    """Normal variates in units of 2^-40, up to 6.3 in size: the quantile of the word as a probability.

    The lowest bit is the sign. With that bit set, the word over 2^33 is the probability of the tail beyond
    the variate: an odd multiple of 2^-33, up to 1/2. It lies in one of 32 octaves, each cut into 64 segments.
    In each segment a cubic polynomial gives the variate, with an error of at most 6e-11.
    """
    # exact, and the exponent counts the leading zeros
    bits = (words | 1).to(torch.float64).view(torch.int64)
    row = ((bits >> (52 - SEGMENTS)) - (1023 << SEGMENTS)) * coefficients.shape[1]
    place = (bits >> (52 - 31)) & ((1 << PLACE) - 1)
    flat = coefficients.flatten()
    value = flat[row + 3]
    for power in (2, 1, 0):
        value = ((value * place) >> PLACE) + flat[row + power]
    negative = words & 1
    return (value ^ -negative) + negative


@cache
def table() -> np.ndarray:
    """The coefficients: a row for each segment, lowest power first."""
    return np.load(TABLE, allow_pickle=False)


@cache
def _fused() -> Callable[..., Tensor]:
    """`numbers`, compiled for any shape; from the first failure on as it is."""
    compiled = torch.compile(numbers, dynamic=True)
    failed = False

    def quickly(*given: Any) -> Tensor:
        nonlocal failed
        if not failed:
            try:
                return compiled(*given)
            except torch.OutOfMemoryError:  # no fault of the compiler
                raise
            except Exception:  # no Triton, no compiler, …: the numbers are the same without
                failed = True
        return numbers(*given)

    return quickly
