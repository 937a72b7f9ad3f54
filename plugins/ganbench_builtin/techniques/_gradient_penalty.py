"""What gradient penalties have in common: they add to the discriminator's objective."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

import ganbench
from ganbench import Nets, Objective
from ganbench_builtin.techniques._fits import needs_network, needs_players

Critic = Callable[[Tensor], Tensor]
"""The discriminator with buffers that stay as they are."""

EPSILON = 1e-12
"""Under the root: the derivative of a norm at 0 is not finite."""


class GradientPenalty(ganbench.Technique):
    """The discriminator's objective plus `penalty`. Subclasses are dataclasses."""

    needs: ClassVar[tuple[str, ...]] = ("discriminator",)
    """Players without which it has nothing to read."""

    @abstractmethod
    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """What is added."""

    def objective(self, inner: Objective) -> Objective:
        """Adds the penalty to the discriminator's objective."""

        def penalised(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player != "discriminator":
                return value
            return value + self.penalty(nets.frozen["discriminator"], batch, out)

        return penalised

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs one discriminator, and a generator where it reads fake samples."""
        return needs_players(self, model, *self.needs) or needs_network(self, model, "discriminator")


def squares(critic: Critic, x: Tensor) -> Tensor:
    """|grad D(x)|^2 of each sample: B."""
    return ganbench.input_grad(critic, x).flatten(1).square().sum(1)


def norms(critic: Critic, x: Tensor) -> Tensor:
    """|grad D(x)| of each sample: B. Differentiable at 0."""
    return (squares(critic, x) + EPSILON).sqrt()


def between(start: Tensor, end: Tensor, mix: Tensor) -> Tensor:
    """Each sample's own point, mix (B, in [0, 1]) of the way from start to end."""
    return start + mix.reshape(-1, *[1] * (start.dim() - 1)) * (end - start)
