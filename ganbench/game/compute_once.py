"""A hint to the compiler: compute this once."""

from __future__ import annotations

from typing import TypeVar, overload

from torch import Tensor

Number = TypeVar("Number", bound=float)


@overload
def compute_once(value: Tensor) -> Tensor: ...
@overload
def compute_once(value: Number) -> Number: ...
def compute_once(value: float | Tensor) -> float | Tensor:
    """`value`, computed before whatever reads it; numbers pass through.

    A fusing compiler inlines an elementwise expression into each of its readers: a power of the step count
    into every weight's update. At a strided view torch's stops inlining; the view itself costs nothing.
    """
    return value.as_strided(value.shape, value.stride()) if isinstance(value, Tensor) else value
