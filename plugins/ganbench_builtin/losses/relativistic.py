"""Relativistic pairing GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench
from ganbench_builtin.losses._relativistic import COSTS, Link


@dataclass(frozen=True)
class Relativistic(ganbench.Loss):
    """Relativistic pairing loss, RpGAN (Jolicoeur-Martineau 2018, arXiv:1807.00734).

    A real and a fake sample are judged as a pair: the discriminator wants the real one's logit ahead, the
    generator the fake one's. With the logistic link it is RSGAN, and the loss of R3GAN (Huang et al. 2024,
    arXiv:2501.05441), which adds r1-r2. Only differences of logits count, so accuracies mean nothing.

    Reads real_logits and fake_logits, both of one shape, whose entries are paired in order; means over them.

    Arguments:
        link: cost of a lead d: "logistic" log(1 + e^-d), "least-squares" (d - 1)^2, "hinge" max(0, 1 - d).
    """

    name = "relativistic"
    family = "adversarial"
    has_boundary = False
    pairs = True
    link: Link = "logistic"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """Cost of D(x) - D(G(z))."""
        return COSTS[self.link](out["real_logits"] - out["fake_logits"]).mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """Cost of D(G(z)) - D(x)."""
        return COSTS[self.link](out["fake_logits"] - out["real_logits"]).mean()
