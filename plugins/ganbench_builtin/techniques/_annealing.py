"""Schedules of the weight of a VAE's KL term."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

import ganbench
from ganbench import Nets, Objective

TERMS = ("kl", "kl_dimensions")


class Annealing(ganbench.Technique):
    """The loss reads a KL term times `weight`. Subclasses are dataclasses.

    It fits losses that have `reads_kl = True`: they read `kl` or `kl_dimensions`.
    """

    @abstractmethod
    def weight(self, step: Tensor) -> Tensor:
        """What the KL term is multiplied with in a step, counted from 1."""

    def objective(self, inner: Objective) -> Objective:
        """Scales the KL term."""

        def annealed(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            weight = self.weight(batch["step"])
            scaled = {term: weight * out[term] for term in TERMS if term in out}
            return inner(player, nets, batch, out | scaled)

        return annealed

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a loss that reads the KL term."""
        if getattr(loss, "reads_kl", False):
            return None
        reading = "elbo, beta-vae or free-bits"
        return f"{self.name} weighs the KL term that a loss reads, {loss.name} reads none: choose {reading}"
