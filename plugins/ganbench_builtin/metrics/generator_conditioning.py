"""How unevenly a generator stretches its latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import Evaluation, GameView, Metric
from ganbench_builtin.metrics._dynamics import game

_LATENTS = ("prior", "noise")
"""Draws that samples are made of: those of a model's first that it has."""


@dataclass(frozen=True)
class GeneratorConditioning(Metric):
    """Mean log condition number of the generator (Odena et al. 2018, arXiv:1802.08768).

    At each of `points` latents: log of the largest over the smallest eigenvalue of J^T J, J the Jacobian of
    the sample in its latent (of J J^T where the latent has more numbers than the sample), in float64,
    networks as they are when samples are drawn.

    0 to 72.1, lower is better; in the paper it goes with FID and Inception score over runs. A direction that
    is lost within float64's precision counts as log(1 / epsilon^2) = 72.1; a generator that is constant has
    lost all. Not biased by `points`. It is local, and knows no data: it cannot see modes that are missing
    nor samples that are wrong, and stretching everything alike costs nothing.

    nan where the model's samples are not made of a draw named "prior" or "noise", and where J is not finite.

    Cost: three forward passes of `points` samples for each number of the latent (15 training steps of DCGAN).

    Arguments:
        points: latents that it is averaged over.
    """

    name = "generator-conditioning"
    values = {"generator-conditioning": "lower"}
    points: Annotated[int, Field(gt=0)] = 16

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        view = game(evaluation).double()
        batch = view.sample_batch(self.points)
        latent = next((name for name in _LATENTS if name in batch), None)
        if latent is None or not batch[latent].numel():
            return {self.name: math.nan}
        jacobians = _jacobians(view, batch, latent)
        if not jacobians.isfinite().all():
            return {self.name: math.nan}
        stretch = torch.linalg.svdvals(jacobians)
        ratio = (stretch[:, -1] / stretch[:, 0]).nan_to_num(0.0)  # 0 / 0: constant
        return {self.name: -2 * ratio.clamp(min=torch.finfo(ratio.dtype).eps).log().mean().item()}


def _jacobians(view: GameView, batch: dict[str, Tensor], latent: str) -> Tensor:
    """points x numbers of a sample x numbers of its latent. A sample depends on its own latent alone."""
    latents = batch[latent]

    def sample(latents: Tensor) -> Tensor:
        return view.sample(view.joint, batch | {latent: latents}).flatten(1)

    # J v is the derivative of J^T u in u: torch's forward mode would warn of a deprecation of its own
    samples, pullback, *_ = torch.func.vjp(sample, latents)
    _, pushforward, *_ = torch.func.vjp(lambda u: pullback(u)[0], torch.zeros_like(samples))
    directions = torch.eye(latents[0].numel()).to(latents).view(-1, *latents.shape[1:])
    columns = [pushforward(direction.expand_as(latents))[0] for direction in directions]
    return torch.stack(columns, dim=2).detach()
