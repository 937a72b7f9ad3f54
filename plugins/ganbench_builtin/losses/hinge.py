"""Hinge GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

import ganbench


@dataclass(frozen=True)
class Hinge(ganbench.Loss):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957).

    Reads real_logits and fake_logits, of any shape; means over all of them.
    """

    name = "hinge"
    family = "adversarial"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))."""
        return F.relu(1 - out["real_logits"]).mean() + F.relu(1 + out["fake_logits"]).mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """-D(G(z))."""
        return -out["fake_logits"].mean()
