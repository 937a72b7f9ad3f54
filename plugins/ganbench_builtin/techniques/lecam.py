"""LeCam regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import BuildNetworks, Nets, Objective
from ganbench_builtin.techniques._fits import needs_judges
from ganbench_builtin.techniques._judges import state_of


class _Anchors(nn.Module):
    """Exponential moving averages of the discriminator's mean logits, from 0."""

    real: Tensor
    fake: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Moves both towards the means of these logits, and gives them."""
        self.real = self.decay * self.real + (1 - self.decay) * real_logits.detach().mean()
        self.fake = self.decay * self.fake + (1 - self.decay) * fake_logits.detach().mean()
        return self.real, self.fake


@dataclass(frozen=True)
class LeCam(ganbench.Technique):
    """LeCam regularisation of the discriminator, for limited data (Tseng et al. 2021, arXiv:2104.03310).

    weight (E[(D(x) - a)^2] + E[(D(G(z)) - b)^2]), with a the moving average of the logits of samples and b of
    data. The averages start at 0 and move on each of the discriminator's turns, this one's logits included;
    no gradient flows through them. This is the paper's formula; the authors' code counts D(x) only where it
    is above a, and D(G(z)) only where it is below b.

    Arguments:
        weight: of the penalty (that of the authors' BigGAN on CIFAR).
        decay: of the averages, a turn.
    """

    name = "lecam"
    weight: Annotated[float, Field(ge=0)] = 0.3
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99

    def networks(self, build: BuildNetworks, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """Adds "lecam", which keeps the averages; one for each judge."""
        return build(spec) | {state_of(self, judge): _Anchors(self.decay) for judge in self.judges}

    def objective(self, inner: Objective) -> Objective:
        """Adds the penalty to the discriminator's objective."""

        def anchored(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player not in self.judges:
                return value
            real_logits, fake_logits = out["real_logits"], out["fake_logits"]
            real, fake = nets[state_of(self, player)](real_logits, fake_logits)
            return value + self.weight * (
                (real_logits - fake).square().mean() + (fake_logits - real).square().mean()
            )

        return anchored

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)
