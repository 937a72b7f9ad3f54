"""A mixture of isotropic Gaussians with equal weights: what the ring and the grid share."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.components import Data
from ganbench.draws import stream

TEST_SIZE = 10_000


def mixture(centres: Tensor, sigma: float, size: int) -> Data:
    """`size` training and 10,000 test points (float32) around `centres` (K x d, float64)."""
    return Data(
        train=_points(centres, sigma, size, "train"),
        test=_points(centres, sigma, TEST_SIZE, "test"),
        modes=centres.float(),
        sigma=sigma,
    )


def _points(centres: Tensor, sigma: float, n: int, part: str) -> Tensor:
    """A part has its own stream, so the test points do not depend on the number of training points."""
    generator = stream("cpu", 0, "mixture", part)
    mode = torch.randint(len(centres), (n,), generator=generator, device="cpu")
    noise = torch.randn(n, centres.shape[1], generator=generator, dtype=torch.float64, device="cpu")
    return (centres[mode] + sigma * noise).float()
