"""Differentiable augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

import ganbench
from ganbench import Nets, Play
from ganbench_builtin.techniques._augment import TRANSFORMS, Transform, needs_images
from ganbench_builtin.techniques._fits import needs_one_network_each
from ganbench_builtin.techniques._seen import changed, draws_of_calls

Policy = tuple[Literal["color", "translation", "cutout"], ...]


@dataclass(frozen=True)
class DiffAugment(ganbench.Technique):
    """DiffAugment: the discriminator sees transformed images only (Zhao et al. 2020, arXiv:2006.10738).

    Real and generated ones, on its own turn and on the generator's, which is differentiated through the
    transforms. Each image has draws of its own. "color": brightness +- 1/2, saturation times 0 to 2, contrast
    times 1/2 to 3/2; "translation": by up to an eighth of the side, and 0 comes in; "cutout": a box of half
    the side becomes 0. Gradient penalties look at the images as they are.

    Arguments:
        policy: which transforms, in this order.
    """

    name = "diff-augment"
    policy: Annotated[Policy, Field(min_length=1)] = ("color", "translation", "cutout")

    def play(self, inner: Play) -> Play:
        """Transforms what the discriminator sees."""

        def augmented(player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return inner(player, changed(self, nets, batch, lambda _: self.transform), batch)

        return augmented

    def transform(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Images B x C x H x W by uniform draws B x columns."""
        for transform in self._transforms:
            x = transform.apply(x, uniform)
            uniform = uniform[:, transform.columns :]
        return x

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Uniform, B x columns for each call of the discriminator. BadInput where samples are not images."""
        needs_images(self, spec)
        columns = sum(transform.columns for transform in self._transforms)
        return draws_of_calls(self, (batch, columns), "uniform")

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs one discriminator."""
        return needs_one_network_each(self, model)

    @property
    def _transforms(self) -> list[Transform]:
        return [transform for kind in self.policy for transform in TRANSFORMS[kind]]
