"""A hint to the compiler: compute this once."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def compute_once(value: Any) -> Any:
    """`value`, computed before whatever reads it; numbers pass through.

    A fusing compiler inlines an elementwise expression into each of its readers: a power of the step count
    into every weight's update. At a strided view torch's stops inlining; the view itself costs nothing.
    """
    return value.as_strided(value.shape, value.stride()) if isinstance(value, Tensor) else value
