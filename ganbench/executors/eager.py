"""Execute a step as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganbench.components.kinds import Executor

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Eager(Executor):
    """Operation by operation: nothing to wait for, slow for small networks."""

    name = "eager"

    def prepare(
        self, step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]
    ) -> Callable[[], None]:
        """A function that calls the step as it is."""
        return lambda: step(*written, *read)
