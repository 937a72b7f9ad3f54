"""Symplectic gradient adjustment."""

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
class Symplectic(ganbench.Technique):
    """Symplectic gradient adjustment, SGA (Balduzzi et al. 2018, arXiv:1802.05642; Letcher et al. 2019).

    A mover's gradient v_i becomes (v + lambda A^T v)_i, with A = (J - J^T) / 2 the antisymmetric part of the
    Jacobian of all players' gradients: it turns the field towards where |v| falls, and leaves a potential
    game, in which all descend one function, as it is. As published, all players move at once; where turns
    alternate, each has v and A taken at the point as it then is.

    Arguments:
        strength: |lambda|, 1 as published.
        align: whether lambda has the sign of <v, H><A^T v, H> / d + epsilon with H = J^T v (algorithm 1), so
            that unstable fixed points do not attract; else it is positive. d counts the numbers of all
            players' vectors, padding included.
        epsilon: in that sign, .1 as published: it prefers stable points where the product is small.
    """

    name = "symplectic"
    order = -10  # it adds to the field: before that is clipped
    differentiates = True
    strength: Annotated[float, Field(ge=0)] = 1.0
    align: bool = True
    epsilon: Annotated[float, Field(ge=0)] = 0.1

    def field(self, inner: GradientField) -> GradientField:
        """Adds lambda A^T v."""

        def adjusted(turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]) -> Flow:
            v, flow = whole(inner, turn, joint, buffers, batch)

            def along(w: Joint) -> tuple[Tensor, Joint]:
                """<J^T w, v>, of which J v is the gradient in w, and J^T w: reverse mode is enough."""
                slope = torch.func.grad(lambda x: dot(whole(inner, turn, x, buffers, batch)[0], w))(joint)
                return dot(slope, v), slope

            push, slope = torch.func.grad(along, has_aux=True)(v)
            twist = {player: (slope[player] - push[player]) / 2 for player in v}
            weight = self.strength * (self._sign(v, slope, twist) if self.align else 1)
            return flow._replace(gradients={player: v[player] + weight * twist[player] for player in turn})

        return adjusted

    def _sign(self, v: Joint, slope: Joint, twist: Joint) -> Tensor:
        """Whether the adjustment is to be added (1) or taken away (-1)."""
        size = sum(vector.numel() for vector in v.values())
        return torch.sign(dot(v, slope) * dot(twist, slope) / size + self.epsilon)
