"""Unrolled GANs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Flow, GradientField, Joint, Named, Turn
from ganbench_builtin.techniques._fits import needs_judges, needs_players


@dataclass(frozen=True)
class Unrolled(ganbench.Technique):
    """The generator foresees k discriminator steps (Metz et al. 2017, arXiv:1611.02163).

    On the generator's turn its objective is taken at the discriminator that k gradient steps would lead to,
    on the turn's own batch, and differentiated through them. The discriminator's turn is unchanged, and so
    are the losses that are recorded. Costs about k + 1 times the generator's turn.

    Arguments:
        steps: k; 0 is plain training. The authors have 1 to 10 (5 in their demonstration).
        lr: length of the foreseen steps, which are plain gradient descent, as in the paper's equations (its
            experiments unroll Adam, whose steps are longer). More is not better: on the ring, with Adam at
            1e-3, .003 keeps the modes that .03 loses.
    """

    name = "unrolled"
    order = -20  # it is the generator's objective that changes: innermost
    differentiates = True
    steps: Annotated[int, Field(ge=0)] = 5
    lr: Annotated[float, Field(ge=0)] = 1e-3

    def field(self, inner: GradientField) -> GradientField:
        """Replaces the generator's gradient."""
        judges = tuple(self.judges)

        def unrolled(turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]) -> Flow:
            flow = inner(turn, joint, buffers, batch)
            if "generator" not in turn:
                return flow

            def surrogate(generator: Tensor) -> Tensor:
                point, seen = joint | {"generator": generator}, buffers
                for _ in range(self.steps):
                    judged = inner(judges, point, seen, batch)
                    moved = {who: point[who] - self.lr * judged.gradients[who] for who in judges}
                    point, seen = point | moved, judged.buffers
                return inner(("generator",), point, seen, batch).losses["generator"]

            gradient = torch.func.grad(surrogate)(joint["generator"])
            return flow._replace(gradients=flow.gradients | {"generator": gradient})

        return unrolled

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator and a generator."""
        return needs_judges(self, model) or needs_players(self, model, "generator")
