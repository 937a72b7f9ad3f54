"""Packing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import BuildNetworks
from ganbench_builtin.techniques._fits import needs_judges
from ganbench_builtin.techniques._judges import is_judging


class _Packed(nn.Module):
    """A network of packs, called with samples: B x C x … become B / m x m C x …"""

    def __init__(self, net: nn.Module, m: int) -> None:
        super().__init__()
        self.net, self.m = net, m

    def forward(self, x: Tensor) -> Any:
        """Joins each m consecutive samples along their first axis."""
        return self.net(x.reshape(len(x) // self.m, self.m * x.shape[1], *x.shape[2:]))


@dataclass(frozen=True)
class Packing(ganbench.Technique):
    """PacGAN: the discriminator judges m samples at once (Lin et al. 2018, arXiv:1712.04086).

    Its networks are built for m times the channels (points: m times the numbers), and widths are the model's.
    A pack is m consecutive samples of a batch, which, being independent, are m independent samples: all real
    or all generated. So B samples have B / m logits.

    Gradient penalties look at each sample's own part of the slope, whose squares add up to the square of the
    pack's: R1 and R2 are 1 / m of the pack's, and a target slope of 1 is a slope of sqrt(m) of the pack.

    Arguments:
        m: samples a pack, which divides the batch; 1 is the plain discriminator. The paper has 2, 3 and 4.
    """

    name = "packing"
    order = -30  # first of all: whatever else there is to the discriminator is a pack's
    m: Annotated[int, Field(ge=1)] = 2

    def networks(self, build: BuildNetworks, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """Takes the discriminators from a model of packs."""
        nets = build(spec)
        if self.m == 1:
            return nets
        source = None if spec.source is None else self._packed(spec.source)
        wide = build(replace(spec, shape=self._packed(spec.shape), source=source))
        return nets | {name: _Packed(net, self.m) for name, net in wide.items() if is_judging(self, name)}

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """None. BadInput where packs do not divide the batch."""
        if batch % self.m:
            below = batch - batch % self.m
            near = f"{below} or {below + self.m}" if below else f"{self.m}"
            raise ganbench.BadInput(f"packs of {self.m} do not divide a batch of {batch}: choose {near}")
        return {}

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator without conditions."""
        if type(model).conditioned is not ganbench.Model.conditioned:
            return f"{self.name} joins samples, and {model.name} judges each with something of its own"
        return needs_judges(self, model)

    def _packed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.m * shape[0], *shape[1:])
