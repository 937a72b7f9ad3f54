"""A mixture of isotropic Gaussians: what the ring, the grid and the 100 Gaussians share."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench import Data, stream

TEST_SIZE = 10_000


def mixture(centres: Tensor, sigma: float, size: int, weights: Tensor | None = None) -> Data:
    """`size` training and 10,000 test points (float32) around `centres` (K x d, float64).

    `weights` are the K shares of the centres, equal where they are not given.
    """
    return Data(
        train=_points(centres, sigma, size, "train", weights),
        test=_points(centres, sigma, TEST_SIZE, "test", weights),
        modes=centres.float(),
        sigma=sigma,
    )


def _points(centres: Tensor, sigma: float, n: int, part: str, weights: Tensor | None) -> Tensor:
    """A part has its own stream, so the test points do not depend on the number of training points."""
    generator = stream("cpu", 0, "mixture", part)
    if weights is None:
        mode = torch.randint(len(centres), (n,), generator=generator, device="cpu")
    else:
        mode = torch.multinomial(weights, n, replacement=True, generator=generator)
    noise = torch.randn(n, centres.shape[1], generator=generator, dtype=torch.float64, device="cpu")
    return (centres[mode] + sigma * noise).float()
