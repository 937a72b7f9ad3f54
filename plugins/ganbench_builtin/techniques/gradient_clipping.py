"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Flow, GradientField, Joint, Named, Turn, clip_by_norm


@dataclass(frozen=True)
class GradientClipping(ganbench.Technique):
    """Each player's gradient is scaled to at most `max_norm` (Pascanu et al. 2013, arXiv:1211.5063)."""

    name = "gradient-clipping"
    max_norm: Annotated[float, Field(gt=0)] = 1.0

    def field(self, inner: GradientField) -> GradientField:
        """Clips what the inner field gives; each run's own norm counts."""

        def clipped(turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]) -> Flow:
            flow = inner(turn, joint, buffers, batch)
            gradients = {p: clip_by_norm(gradient, self.max_norm) for p, gradient in flow.gradients.items()}
            return flow._replace(gradients=gradients)

        return clipped
