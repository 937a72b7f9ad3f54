"""R1 gradient penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

import ganbench
from ganbench.game import Objective
from ganbench.nets import Nets
from ganbench_builtin.techniques._fits import needs_players


@dataclass(frozen=True)
class R1(ganbench.Technique):
    """R1: gamma / 2 E[|grad D(x)|^2] on real data (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""

    name = "r1"
    gamma: float = 1.0

    def objective(self, inner: Objective) -> Objective:
        """Adds the penalty to the discriminator's objective."""

        def penalised(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player != "discriminator":
                return value
            gradient = ganbench.input_grad(nets.frozen["discriminator"], batch["data"])
            return value + self.gamma / 2 * gradient.flatten(1).square().sum(1).mean()

        return penalised

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_players(self, model, "discriminator")
