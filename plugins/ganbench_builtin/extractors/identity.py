"""No features but the data themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganbench import Data, Extractor


@dataclass(frozen=True)
class Identity(Extractor):
    """The samples themselves, flattened: for points, whose plane has a meaning of its own."""

    name = "identity"

    def prepare(self, data: Data, cache: Path) -> Callable[[Tensor], Tensor]:
        """n x shape -> n x numel. Nothing is kept under `cache`."""
        return _flatten

    def digest(self, data: Data) -> str:
        """The features depend on nothing."""
        return "identity-1"


def _flatten(samples: Tensor) -> Tensor:
    return samples.flatten(1)
