"""Non-saturating GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class NonSaturating(ganbench.Loss):
    """Non-saturating loss (Goodfellow et al. 2014, arXiv:1406.2661, section 3).

    Reads real_logits and fake_logits, of any shape; means over all of them.
    """

    name = "non-saturating"
    family = "adversarial"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-out["real_logits"]).mean() + F.softplus(out["fake_logits"]).mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """-log D(G(z))."""
        return F.softplus(-out["fake_logits"]).mean()
