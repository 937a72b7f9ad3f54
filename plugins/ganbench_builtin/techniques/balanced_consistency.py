"""Balanced consistency regularisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench_builtin.techniques._augment import needs_images
from ganbench_builtin.techniques._consistency import COLUMNS, inconsistency, jittered
from ganbench_builtin.techniques._gradient_penalty import Critic, GradientPenalty


@dataclass(frozen=True)
class BalancedConsistency(GradientPenalty):
    """bCR: consistency of real and of generated images (Zhao et al. 2021, arXiv:2002.04724, algorithm 1).

    real E[(D(x) - D(T(x)))^2] + fake E[(D(G(z)) - D(T(G(z))))^2]. T is that of consistency, with draws of
    their own for real and for generated images.

    Arguments:
        real, fake: weights of the squared differences.
        shift: in pixels.
        flips: whether T flips, which changes the meaning of digits and letters.
    """

    name = "balanced-consistency"
    conflicts: ClassVar[tuple[str, ...]] = ("consistency",)
    reads_fake = True
    real: Annotated[float, Field(ge=0)] = 10.0
    fake: Annotated[float, Field(ge=0)] = 10.0
    shift: Annotated[int, Field(ge=0)] = 4
    flips: bool = True

    def penalty(self, critic: Critic, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> Tensor:
        """At the data and at the samples."""

        def changes(x: Tensor, which: str) -> Tensor:
            moved = jittered(x, batch[f"balanced-consistency/{which}"], self.shift, self.flips)
            return inconsistency(critic, x, moved)

        return self.real * changes(batch["data"], "real") + self.fake * changes(out["fake"], "fake")

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Uniform, B x columns for each kind of image. BadInput where samples are not images."""
        needs_images(self, spec)
        draw = ganbench.Draw((batch, COLUMNS), "uniform")
        return {"balanced-consistency/real": draw, "balanced-consistency/fake": draw}
