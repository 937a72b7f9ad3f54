"""Wasserstein GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench


@dataclass(frozen=True)
class Wasserstein(ganbench.Loss):
    """Wasserstein loss (Arjovsky et al. 2017, arXiv:1701.07875).

    Reads real_logits and fake_logits, of any shape; means over all of them.
    """

    name = "wasserstein"
    family = "adversarial"
    has_boundary = False

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """D(G(z)) - D(x): the critic."""
        return out["fake_logits"].mean() - out["real_logits"].mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """-D(G(z))."""
        return -out["fake_logits"].mean()
