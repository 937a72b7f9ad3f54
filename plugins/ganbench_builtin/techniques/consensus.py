"""Consensus optimisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Flow, GradientField, Joint, Named, Turn
from ganbench_builtin.techniques._field import dot, whole


@dataclass(frozen=True)
class Consensus(ganbench.Technique):
    """All players also lower gamma / 2 |v|^2, v their gradients (Mescheder et al. 2017, arXiv:1705.10461).

    A mover's gradient v_i becomes (v + gamma J^T v)_i (algorithm 2), with v and its Jacobian J
    those of all players at the current point, on every turn. As published, all players move at once;
    where turns alternate, the second to move has v taken anew, at the point that the first has moved to.
    |v|^2 is of a minibatch, which is not an unbiased estimate.

    Arguments:
        gamma: weight of the regulariser. 10 is the authors' for most of their experiments; a long step
            wants less of it (stable on x y only while step < 2 gamma / (1 + gamma^2)).
    """

    name = "consensus"
    order = -10  # it adds to the field: before that is clipped
    differentiates = True
    gamma: Annotated[float, Field(ge=0)] = 10.0

    def field(self, inner: GradientField) -> GradientField:
        """Adds gamma J^T v."""

        def agreed(turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]) -> Flow:
            def half_square(point: Joint) -> tuple[Tensor, tuple[Joint, Flow]]:
                v, flow = whole(inner, turn, point, buffers, batch)
                return dot(v, v) / 2, (v, flow)

            slope, (v, flow) = torch.func.grad(half_square, has_aux=True)(joint)
            gradients = {player: v[player] + self.gamma * slope[player] for player in turn}
            return flow._replace(gradients=gradients)

        return agreed
