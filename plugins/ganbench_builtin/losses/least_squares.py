"""Least-squares GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench


@dataclass(frozen=True)
class LeastSquares(ganbench.Loss):
    """Least-squares loss with targets 0 and 1 (Mao et al. 2017, arXiv:1611.04076, eq. 9).

    Reads real_logits and fake_logits, of any shape; means over all of them.
    """

    name = "least-squares"
    family = "adversarial"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """((D(x) - 1)^2 + D(G(z))^2) / 2."""
        return ((out["real_logits"] - 1).square().mean() + out["fake_logits"].square().mean()) / 2

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """(D(G(z)) - 1)^2 / 2."""
        return (out["fake_logits"] - 1).square().mean() / 2
