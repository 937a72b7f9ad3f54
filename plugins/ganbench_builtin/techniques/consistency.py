"""Consistency regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench_builtin.techniques._augment import needs_images
from ganbench_builtin.techniques._consistency import COLUMNS, inconsistency, jittered
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty


@dataclass(frozen=True)
class Consistency(GradientPenalty):
    """CR: weight E[(D(x) - D(T(x)))^2] on real images (Zhang et al. 2020, arXiv:1910.12027).

    T flips an image from left to right half the time, and moves it by up to `shift` pixels, or an eighth of
    the side where that is less; what comes in at an edge is the mirror image. Where an image has several
    logits, the mean is over them all.

    Arguments:
        weight: of the squared difference.
        shift: in pixels.
        flips: whether T flips, which changes the meaning of digits and letters.
    """

    name = "consistency"
    weight: Annotated[float, Field(ge=0)] = 10.0
    shift: Annotated[int, Field(ge=0)] = 4
    flips: bool = True

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """The penalty at the data."""
        moved = jittered(batch["data"], batch["consistency/real"], self.shift, self.flips)
        return self.weight * inconsistency(critic, batch["data"], moved)

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Uniform, B x columns. BadInput where samples are not images."""
        needs_images(self, spec)
        return {"consistency/real": ganbench.Draw((batch, COLUMNS), "uniform")}
