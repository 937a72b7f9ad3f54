"""Points scattered around curves in the plane: what the swiss roll, the moons and the spiral share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganbench import Data, stream

TEST_SIZE = 10_000

Curve = Callable[[Tensor, Tensor], Tensor]
"""(along, which) -> points: two vectors of n numbers, uniform in [0, 1), to n x 2, all float64."""


def scattered(name: str, curve: Curve, noise: float, size: int) -> Data:
    """`size` training and 10,000 test points (float32): on `curve`, plus Gaussian noise in each direction."""
    return Data(
        train=_points(name, curve, noise, size, "train"),
        test=_points(name, curve, noise, TEST_SIZE, "test"),
    )


def _points(name: str, curve: Curve, noise: float, n: int, part: str) -> Tensor:
    """A part has its own stream, so the test points do not depend on the number of training points."""
    generator = stream("cpu", 0, name, part)
    along, which = torch.rand(2, n, generator=generator, dtype=torch.float64, device="cpu")
    shift = torch.randn(n, 2, generator=generator, dtype=torch.float64, device="cpu")
    return (curve(along, which) + noise * shift).float()
