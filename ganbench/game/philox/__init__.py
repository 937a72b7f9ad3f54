"""Random numbers that are functions of a key and a counter: Philox4x32-10 (Salmon et al. 2011,
doi:10.1145/2063384.2063405).

The same numbers everywhere, bit for bit: on any CPU and GPU, compiled or not. All arithmetic is in integers,
up to one last conversion to floating point, which every machine rounds the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.game.philox import native, tensors
from ganbench.game.philox.tensors import Distribution

__all__ = ["Distribution", "drawn"]


def drawn(distribution: Distribution, keys: Tensor, steps: range, count: int, dtype: torch.dtype) -> Tensor:
    """`count` numbers of each step and key, on the keys' device: steps x keys x count.

    Arguments:
        keys: a row of two 32-bit words (as int64) for each run.
        steps: one after the other.
        dtype: float32 or float64. Both carry the same 32 random bits: a normal in float32 is that in float64
            rounded, a uniform is that in float64 cut off after 24 bits.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"draws are float32 or float64, not {dtype}")
    by_c = native.drawn(distribution, keys, steps, count, dtype)
    return tensors.drawn(distribution, keys, steps, count, dtype) if by_c is None else by_c
