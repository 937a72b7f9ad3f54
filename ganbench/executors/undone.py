"""Steps that are taken while a step is prepared, and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def undone(written: Sequence[Tensor]) -> Iterator[None]:
    """Puts back what is written inside into these tensors, which keep their addresses."""
    before = [tensor.clone() for tensor in written]
    try:
        yield
    finally:
        for tensor, value in zip(written, before, strict=True):
            tensor.copy_(value)
