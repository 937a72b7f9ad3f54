"""Adaptive discriminator augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import BuildNetworks, Nets, Play
from ganbench_builtin.techniques._augment import TRANSFORMS, Kind, Transform, needs_images
from ganbench_builtin.techniques._fits import needs_one_network_each
from ganbench_builtin.techniques._judges import state_of
from ganbench_builtin.techniques._seen import Change, changed, draws_of_calls

Kinds = Annotated[tuple[Kind, ...], Field(min_length=1)]


class _Probability(nn.Module):
    """The probability, and what it has seen since it last moved."""

    p: Tensor
    signs: Tensor
    turns: Tensor

    def __init__(self, start: float, target: float, images: int, interval: int) -> None:
        super().__init__()
        self.target, self.images, self.interval = target, images, interval
        self.register_buffer("p", torch.tensor(start))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("turns", torch.zeros((), dtype=torch.int64))

    def forward(self, real_logits: Tensor | None = None, shown: int = 0) -> Tensor:
        """p, a scalar. Given the logits of `shown` real images, counts them, and moves if it is time."""
        if real_logits is not None:
            self._count(real_logits.detach(), shown)
        return self.p

    def _count(self, real_logits: Tensor, shown: int) -> None:
        signs = self.signs + real_logits.sign().mean()
        turns = self.turns + 1
        due, step = turns == self.interval, shown * self.interval / self.images
        moved = self.p + step * torch.sign(signs / self.interval - self.target)
        self.p = torch.where(due, moved.clamp(0, 1), self.p)
        self.signs, self.turns = torch.where(due, 0, signs), torch.where(due, 0, turns)


@dataclass(frozen=True)
class AdaptiveAugment(ganbench.Technique):
    """ADA: as much augmentation as the discriminator overfits (Karras et al. 2020, arXiv:2006.06676).

    The discriminator sees transformed images only, on the generator's turn as on its own. Each transform is
    applied to each image with probability p, independently. After every `interval` of the discriminator's
    turns p moves up if E[sign(D(x))] over their real images (eq. 1) was above `target`, else down, by as much
    as takes it from 0 to 1 in `images` real images, and stays in [0, 1].

    The transforms are plainer than the paper's: "flip" swaps left and right half the time, "rotation" is by
    multiples of 90 degrees, the others are those of diff-augment, and nothing is resampled.

    Arguments:
        target: of the mean sign.
        images: how many real images take p from 0 to 1.
        interval: turns of the discriminator between moves of p.
        start: the first p.
        transforms: which, in this order.
    """

    name = "adaptive-augment"
    target: Annotated[float, Field(ge=-1, le=1)] = 0.6
    images: Annotated[int, Field(gt=0)] = 500_000
    interval: Annotated[int, Field(gt=0)] = 4
    start: Annotated[float, Field(ge=0, le=1)] = 0.0
    transforms: Kinds = ("flip", "rotation", "translation", "color")

    def networks(self, build: BuildNetworks, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """Adds "adaptive-augment", which keeps p; one for each judge."""
        options = (self.start, self.target, self.images, self.interval)
        return build(spec) | {state_of(self, judge): _Probability(*options) for judge in self.judges}

    def play(self, inner: Play) -> Play:
        """Transforms what the discriminator sees, and moves p on its turn."""

        def augmented(player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            # asked before anybody plays: all calls of a turn are made at the same p
            p = {judge: nets[state_of(self, judge)]() for judge in self.judges}

            def change(judge: str) -> Change:
                return lambda x, uniform: self.transform(x, uniform, p[judge])

            out = inner(player, changed(self, nets, batch, change), batch)
            if player in p:
                nets[state_of(self, player)](out["real_logits"], len(batch["data"]))
            return out

        return augmented

    def transform(self, x: Tensor, uniform: Tensor, p: Tensor) -> Tensor:
        """Images B x C x H x W by uniform draws B x columns: of each transform whether, then how."""
        for transform in self._transforms:
            used = (uniform[:, 0] < p).view(-1, 1, 1, 1)
            x = torch.where(used, transform.apply(x, uniform[:, 1:]), x)
            uniform = uniform[:, 1 + transform.columns :]
        return x

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Uniform, B x columns for each call of the discriminator. BadInput where images do not suit."""
        needs_images(self, spec)
        if "rotation" in self.transforms and spec.shape[1] != spec.shape[2]:
            size = f"{spec.shape[1]} x {spec.shape[2]}"
            raise ganbench.BadInput(f"{self.name} turns square images, not {size}: leave out rotation")
        columns = sum(1 + transform.columns for transform in self._transforms)
        return draws_of_calls(self, (batch, columns), "uniform")

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs one discriminator."""
        return needs_one_network_each(self, model)

    @property
    def _transforms(self) -> list[Transform]:
        return [transform for kind in self.transforms for transform in TRANSFORMS[kind]]
