"""One-sided label smoothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Nets, Objective
from ganbench_builtin.techniques._fits import needs_judges

LOGISTIC = ("minimax", "non-saturating")
"""Losses whose discriminator is a classifier by cross-entropy."""


@dataclass(frozen=True)
class LabelSmoothing(ganbench.Technique):
    """One-sided label smoothing: the data's label is `target` (Salimans et al. 2016, arXiv:1606.03498, 3.4).

    The cross-entropy of a label t is that of 1 plus (1 - t) D(x), so that much is added to the
    discriminator's objective. Samples keep the label 0.

    Arguments:
        target: label of the data.
    """

    name = "label-smoothing"
    target: Annotated[float, Field(gt=0, le=1)] = 0.9

    def objective(self, inner: Objective) -> Objective:
        """Adds (1 - target) E[D(x)] to the discriminator's objective."""

        def smoothed(player: str, nets: Nets, batch: Mapping[str, Tensor], out: dict[str, Tensor]) -> Tensor:
            value = inner(player, nets, batch, out)
            if player not in self.judges:
                return value
            return value + (1 - self.target) * out["real_logits"].mean()

        return smoothed

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator, and a loss that labels."""
        missing = needs_judges(self, model)
        if missing or loss.name in LOGISTIC:
            return missing
        return f"{self.name} softens the labels of {' or '.join(LOGISTIC)}, and {loss.name} has none"
