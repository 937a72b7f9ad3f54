"""Gradient penalty of WGAN-GP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench
from ganbench.game import Objective
from ganbench.nets import Nets
from ganbench_builtin.techniques._fits import needs_players

EPSILON = 1e-12
"""Under the root: the derivative of a norm at 0 is not finite."""


@dataclass(frozen=True)
class WGANGP(ganbench.Technique):
    """weight E[(|grad D(x)| - target)^2] between real and fake (Gulrajani et al. 2017, arXiv:1704.00028)."""

    name = "wgan-gp"
    weight: float = 10.0
    target: float = 1.0

    def objective(self, inner: Objective) -> Objective:
        """Adds the penalty to the discriminator's objective."""

        def penalised(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player != "discriminator":
                return value
            real, fake = batch["data"], out["fake"]
            mix = batch["wgan-gp/mix"].reshape(-1, *[1] * (real.dim() - 1))
            gradient = ganbench.input_grad(nets.frozen["discriminator"], real + mix * (fake - real))
            norm = (gradient.flatten(1).square().sum(1) + EPSILON).sqrt()
            return value + self.weight * (norm - self.target).square().mean()

        return penalised

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Where between real and fake, uniform: B."""
        return {"wgan-gp/mix": ganbench.Draw((batch,), "uniform")}

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator and a generator."""
        return needs_players(self, model, "discriminator", "generator")
