"""Wasserstein GAN, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import pair, square
from ganbench_builtin.models._mlp import mlp
from ganbench_builtin.models.dcgan import SIZES


@dataclass(frozen=True)
class WGAN(Adversarial):
    """WGAN as published (Arjovsky et al. 2017, arXiv:1701.07875): five critic turns, and its recipe.

    The recipe is the Wasserstein loss, weights clipped to .01, RMSprop of 5e-5 and batches of 64 (algorithm
    1). Images are drawn by a DCGAN, whose critic has batch norm in all layers but the first, as in the
    authors' code; other samples by perceptrons of four hidden layers with ReLU, as in the paper's comparison
    of architectures. Not in the recipe: the authors' code has 100 critic turns instead of five in the first
    25 steps and in every 500th.

    Arguments:
        width: channels next to the image, of the convolutional networks.
        norm: batch norm in the convolutional critic. Take it out under gradient penalties, which look at
            single samples.
        hidden: widths of the hidden layers, of the perceptrons.
        latent: numbers of noise.
        discriminator_turns: turns of the critic to one of the generator.
    """

    name = "wgan"
    recipe = {
        "loss": "wasserstein",
        "techniques": ["weight-clipping"],
        "optimizer": {"name": "rmsprop", "lr": 5e-5},
        "batch": 64,
    }
    width: Annotated[int, Field(gt=0)] = 64
    norm: bool = True
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (512, 512, 512, 512)
    latent: Annotated[int, Field(gt=0)] = 100
    discriminator_turns: Annotated[int, Field(gt=0)] = 5

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x shape; discriminator: B x shape -> B x 1."""
        if len(spec.shape) == 1:
            return {
                "generator": mlp((self.latent, *self.hidden, spec.numel), "relu"),
                "discriminator": mlp((spec.numel, *self.hidden, 1), "relu"),
            }
        square(spec, self.name, SIZES)
        return pair(self.latent, self.width, spec, self.norm)
