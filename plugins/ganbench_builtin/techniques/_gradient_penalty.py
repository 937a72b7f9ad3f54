"""What gradient penalties have in common: they add to the objective of every judge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

import ganbench
from ganbench import Nets, Objective
from ganbench_builtin.techniques._fits import needs_one_network_each
from ganbench_builtin.techniques._judges import judge_networks

Critic = Callable[[Tensor], Tensor]
"""A judge's network with buffers that stay as they are."""

EPSILON = 1e-12
"""Under the root: the derivative of a norm at 0 is not finite."""


class GradientPenalty(ganbench.Technique):
    """A judge's objective plus `penalty`. Subclasses are dataclasses."""

    reads_fake: ClassVar[bool] = False
    """Whether it reads generated samples: then some player has to make them."""

    @abstractmethod
    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """The term that is added to a judge's objective."""

    def objective(self, inner: Objective) -> Objective:
        """Adds the penalty to each judge's objective."""
        networks = judge_networks(self)

        def penalised(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player not in networks:
                return value
            return value + self.penalty(nets.frozen[networks[player]], batch, out)

        return penalised

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs judges of one network each, and a generator where it reads fake samples."""
        refused = needs_one_network_each(self, model)
        if refused or not self.reads_fake or set(model.players()) > set(model.judges()):
            return refused
        return f"{self.name} reads generated samples, and {model.name} has no player that makes them"


def squares(critic: Critic, x: Tensor) -> Tensor:
    """|grad D(x)|^2 of each sample: B."""
    return ganbench.input_grad(critic, x).flatten(1).square().sum(1)


def norms(critic: Critic, x: Tensor) -> Tensor:
    """|grad D(x)| of each sample: B. Differentiable at 0."""
    return (squares(critic, x) + EPSILON).sqrt()


def between(start: Tensor, end: Tensor, mix: Tensor) -> Tensor:
    """Each sample's own point, mix (B, in [0, 1]) of the way from start to end."""
    return start + mix.reshape(-1, *[1] * (start.dim() - 1)) * (end - start)
