"""Orthogonal regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Nets, Objective
from ganbench_builtin.techniques._fits import needs_network, needs_one_network_each
from ganbench_builtin.techniques._judges import judge_networks

Which = Literal["generator", "discriminator", "both"]


@dataclass(frozen=True)
class OrthogonalRegularisation(ganbench.Technique):
    """beta |W'W * (1 - I)|_F^2 of every weight matrix (Brock et al. 2019, BigGAN, arXiv:1809.11096, eq. 3).

    Filters are drawn to be orthogonal, of whatever length. A filter is what stands under one index of a
    weight's first axis: an output of a linear or convolutional layer, an input of a transposed convolution, a
    class of an embedding. The unrelaxed form, with |W'W - I|, is Brock et al. 2017's, arXiv:1609.07093.

    Arguments:
        beta: weight.
        players: whose networks: the generator's of that name, as published, the discriminator's (of every
            player that judges), or both.
    """

    name = "orthogonal-regularisation"
    beta: Annotated[float, Field(ge=0)] = 1e-4
    players: Which = "generator"

    def objective(self, inner: Objective) -> Objective:
        """Adds the overlaps to these players' objectives."""
        chosen = {} if self.players == "discriminator" else {"generator": "generator"}
        if self.players != "generator":
            chosen |= judge_networks(self)

        def regularised(
            player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]
        ) -> Tensor:
            value = inner(player, nets, batch, out)
            if player not in chosen:
                return value
            weights = nets.parameters(chosen[player]).values()
            overlaps = [overlap(weight) for weight in weights if weight.dim() > 1]
            return value + self.beta * sum(overlaps)

        return regularised

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs one network of each player that it is for."""
        generator = None if self.players == "discriminator" else needs_network(self, model, "generator")
        return generator or (None if self.players == "generator" else needs_one_network_each(self, model))


def overlap(weight: Tensor) -> Tensor:
    """Sum of the squared inner products of every filter with every other."""
    filters = weight.flatten(1)
    others = 1 - torch.eye(len(filters), dtype=filters.dtype, device=filters.device)
    return (filters @ filters.mT * others).square().sum()
