"""When memory runs out."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch's CPU allocator says so in a plain RuntimeError."""
    told = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return told or isinstance(error, MemoryError | torch.OutOfMemoryError)
