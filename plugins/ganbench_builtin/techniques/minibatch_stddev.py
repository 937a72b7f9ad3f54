"""Minibatch standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench_builtin.techniques._fits import needs_judges
from ganbench_builtin.techniques._judges import is_judging
from ganbench_builtin.techniques._last_layer import widened

EPSILON = 1e-8
"""Under the root, as in the authors' code: its derivative at 0 is not finite."""


class _Spread(nn.Module):
    """The mean standard deviation of features over each sample's group."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """B x features to B x 1."""
        size = self.group or len(x)
        if len(x) % size:
            raise ganbench.BadInput(f"groups of {size} do not divide the {len(x)} that are judged at once")
        deviations = (x.unflatten(0, (-1, size)).var(1, correction=0) + EPSILON).sqrt()
        return deviations.mean(1, keepdim=True).expand(-1, size).reshape(-1, 1)


@dataclass(frozen=True)
class MinibatchStddev(ganbench.Technique):
    """Logits see the minibatch's standard deviation (Karras et al. 2018, arXiv:1710.10196, section 3).

    The last layer of the discriminator takes in its features and one number more: their standard deviations
    over the batch, averaged over the features. Real and generated samples are batches of their own.

    Since logits depend on one another, gradient penalties take the slope of their sum.

    Arguments:
        group: how many consecutive samples deviations are taken over; it divides the batch (of packs, where
            these are judged). 0 takes the whole batch, as in the paper; the authors' code has 4.
    """

    name = "minibatch-stddev"
    order = -20  # layers first, then what is done to layers
    group: Annotated[int, Field(ge=0)] = 0

    def network(self, name: str, net: nn.Module) -> nn.Module:
        """Widens a discriminator's last layer. BadInput where that is not linear."""
        return widened(self, net, lambda _: (_Spread(self.group), 1)) if is_judging(self, name) else net

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """None. BadInput where groups do not divide the batch."""
        if self.group and batch % self.group:
            what = f"groups of {self.group} do not divide a batch of {batch}"
            raise ganbench.BadInput(f"{self.name}: {what}: choose 0, the whole batch")
        return {}

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)
