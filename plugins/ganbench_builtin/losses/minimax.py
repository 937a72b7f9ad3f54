"""Minimax GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Minimax(ganbench.Loss):
    """Minimax loss (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1).

    Reads real_logits and fake_logits, of any shape; means over all of them.
    """

    name = "minimax"
    family = "adversarial"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-out["real_logits"]).mean() + F.softplus(out["fake_logits"]).mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """log(1 - D(G(z))): saturates where the discriminator wins."""
        return -F.softplus(out["fake_logits"]).mean()
