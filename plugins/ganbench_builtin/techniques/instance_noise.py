"""Instance noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Nets, Play, bind
from ganbench_builtin.techniques._fits import needs_one_network_each
from ganbench_builtin.techniques._seen import changed, draws_of_calls


@dataclass(frozen=True)
class InstanceNoise(ganbench.Technique):
    """Gaussian noise on all that the discriminator sees (Sønderby et al. 2017, arXiv:1610.04490, appendix).

    Also Arjovsky and Bottou 2017, arXiv:1701.04862, section 3. On real and generated samples, each with noise
    of its own, on the discriminator's turn and on the generator's. Its standard deviation falls in a straight
    line from `sigma` in the first step to 0, which it would reach in the step after the last of `steps`.
    Gradient penalties look at the samples as they are.

    Arguments:
        sigma: standard deviation in the first step, in the units of the data.
        anneal: whether it falls.
        steps: how long it falls; 0 is the whole run.
    """

    name = "instance-noise"
    order = 10  # outermost: the last to change what is seen
    total: ClassVar[int] = 1
    """Steps of the run: see `within`."""
    sigma: Annotated[float, Field(ge=0)] = 0.1
    anneal: bool = True
    steps: Annotated[int, Field(ge=0)] = 0

    def within(self, steps: int) -> InstanceNoise:
        """This technique in a run of `steps` steps."""
        annealed: InstanceNoise = bind(self, {"total": steps})
        return annealed

    def deviation(self, step: Tensor) -> Tensor:
        """The standard deviation in a step, counted from 1."""
        fallen = (step - 1) / (self.steps or self.total) if self.anneal else torch.zeros_like(step)
        return self.sigma * (1 - fallen).clamp(min=0)

    def play(self, inner: Play) -> Play:
        """Adds noise to what the discriminator sees."""

        def noisy(player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            deviation = self.deviation(batch["step"])

            def add(x: Tensor, draw: Tensor) -> Tensor:
                return x + deviation * draw

            return inner(player, changed(self, nets, batch, lambda _: add), batch)

        return noisy

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Normal, B x shape for each call of the discriminator."""
        return draws_of_calls(self, (batch, *spec.shape), "normal")

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs one discriminator."""
        return needs_one_network_each(self, model)
