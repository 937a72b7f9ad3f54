"""Feature matching."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.module import register_module_forward_pre_hook

import ganbench
from ganbench import Nets, Objective
from ganbench_builtin.techniques._fits import needs_one_network_each, needs_players
from ganbench_builtin.techniques._gradient_penalty import Critic
from ganbench_builtin.techniques._judges import judge_networks


@dataclass(frozen=True)
class FeatureMatching(ganbench.Technique):
    """The generator matches the discriminator's mean features (Salimans et al. 2016, arXiv:1606.03498, 3.1).

    weight |E[f(x)] - E[f(G(z))]|^2, where f(x) is what the discriminator's last linear or convolutional layer
    takes in; where it has none, x itself. As in the paper this is all that the generator lowers: neither the
    loss nor the model's own terms count, unless `replace` is off.

    Arguments:
        weight: of the squared distance.
        replace: whether it replaces the generator's objective; else it is added to it.
    """

    name = "feature-matching"
    order = -10  # innermost: it takes the place of loss and model's terms, and of no technique's
    weight: Annotated[float, Field(ge=0)] = 1.0
    replace: bool = True

    def objective(self, inner: Objective) -> Objective:
        """Replaces, or adds to, the generator's objective."""

        def matched(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            if player != "generator":
                return inner(player, nets, batch, out)
            critics = [nets.frozen[network] for network in judge_networks(self).values()]
            distances = [self._distance(critic, batch["data"], out["fake"]) for critic in critics]
            distance = reduce(add, distances)
            return distance if self.replace else inner(player, nets, batch, out) + distance

        return matched

    def _distance(self, critic: Critic, data: Tensor, fake: Tensor) -> Tensor:
        """Section 3.1's, weighed, of one judge's features."""
        real_mean, fake_mean = (features(critic, x).mean(0) for x in (data, fake))
        return self.weight * (real_mean - fake_mean).square().sum()

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a generator and one discriminator."""
        return needs_players(self, model, "generator") or needs_one_network_each(self, model)


def features(critic: Callable[[Tensor], Any], x: Tensor) -> Tensor:
    """Input of the last linear or convolutional layer that `critic` calls, B x …; x where it calls none."""
    last = x

    def remember(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal last
        if isinstance(module, nn.Linear | _ConvNd):
            last = inputs[0]

    # on all modules and not on the network's, for who calls it may stand between (conditions)
    hook = register_module_forward_pre_hook(remember)
    try:
        critic(x)
    finally:
        hook.remove()
    return last
