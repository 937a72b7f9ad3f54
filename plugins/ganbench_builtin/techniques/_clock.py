"""Arithmetic that holds for the numbers of the loop and for the 0-d tensors of a captured step alike."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def choose(condition: Any, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where the condition, a bool or a 0-d tensor, holds, else `no`."""
    if isinstance(condition, Tensor):
        return torch.where(condition, yes, no)
    return yes if condition else no


def clamp(value: Any, low: float, high: float = math.inf) -> Any:
    """The value, at least `low` and at most `high`."""
    return value.clamp(low, high) if isinstance(value, Tensor) else min(max(value, low), high)


def cos(value: Any) -> Any:
    """The cosine."""
    return torch.cos(value) if isinstance(value, Tensor) else math.cos(value)
