"""Extragradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Flow, GradientField, Joint, Named, Turn
from ganbench_builtin.techniques._field import whole


@dataclass(frozen=True)
class Extragradient(ganbench.Technique):
    """Gradients are taken at x - step v(x) (Korpelevich 1976; Gidel et al. 2019, arXiv:1802.10551).

    On every turn all players look ahead along their own gradients; then the movers take theirs there,
    on the same batch. Published with simultaneous moves; where turns alternate, each looks ahead from the
    point as it then is. It costs two evaluations a step. `extra-adam` looks ahead by the optimiser's own step
    instead, with a batch for each half.

    Arguments:
        step: how far to look; the published method has the learning rate of plain gradient descent here, and
            so has the default, of this package's.
    """

    name = "extragradient"
    order = -5  # of a field that others have adjusted; before clipping
    step: Annotated[float, Field(ge=0)] = 1e-3

    def field(self, inner: GradientField) -> GradientField:
        """The inner field ahead. Losses, probes and buffers are those of the point itself."""

        def ahead(turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]) -> Flow:
            v, flow = whole(inner, turn, joint, buffers, batch)
            there = {player: flat - self.step * v[player] for player, flat in joint.items()}
            return flow._replace(gradients=inner(turn, there, buffers, batch).gradients)

        return ahead
