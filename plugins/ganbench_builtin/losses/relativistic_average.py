"""Relativistic average GAN loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench
from ganbench_builtin.losses._relativistic import COSTS, Link


@dataclass(frozen=True)
class RelativisticAverage(ganbench.Loss):
    """Relativistic average loss, RaGAN (Jolicoeur-Martineau 2018, arXiv:1807.00734).

    Each logit is compared with the mean of the other kind's. The links give RaSGAN, RaLSGAN and RaHingeGAN.
    Only differences of logits count, so accuracies mean nothing.

    Reads real_logits and fake_logits, of any shape; means over all of them.

    Arguments:
        link: cost of a lead d: "logistic" log(1 + e^-d), "least-squares" (d - 1)^2, "hinge" max(0, 1 - d).
    """

    name = "relativistic-average"
    family = "adversarial"
    has_boundary = False
    pairs = True
    link: Link = "logistic"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """Costs of D(x) - E D(G(z)) and of E D(x) - D(G(z))."""
        return self._costs(out["real_logits"], out["fake_logits"])

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """The same with real and fake exchanged."""
        return self._costs(out["fake_logits"], out["real_logits"])

    def _costs(self, ahead: Tensor, behind: Tensor) -> Tensor:
        cost = COSTS[self.link]
        return cost(ahead - behind.mean()).mean() + cost(ahead.mean() - behind).mean()
