"""The small DCGAN of Unrolled GAN's stacked MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import initialise, square
from ganbench_builtin.models._stacked import body, discriminator
from ganbench_builtin.models.stacked_dcgan import SIZES

DEPTH = 3


@dataclass(frozen=True)
class StackedDCGANSmall(Adversarial):
    """Small DCGAN for stacked MNIST (Metz et al. 2017, arXiv:1611.02163, appendix; Lin et al. 2018, table 3).

    3 x 3 convolutions of stride 2. The generator has 8, 4, 2 and 1 `width` channels, a last convolution of
    stride 1, and ReLU. The discriminator has a fraction of the last three, for the default 2, 4 and 8: too
    few to see all modes, which is the point. Its leaky ReLU is .3; batch norm in all layers of both, weights
    from N(0, .02). The recipe: Adam of 1e-4 (2e-4 for the discriminator), betas .5 and .99, batches of 128
    (under packing of m: 128 packs, which is a batch of 128 m here). Layers and recipe are those of the code
    of PacGAN's authors; Metz et al.'s own table was not at hand.

    Arguments:
        width: channels of the generator next to the image.
        shrink: the generator's channels over the discriminator's.
        latent: numbers of noise.
    """

    name = "stacked-dcgan-small"
    recipe = {
        "loss": "non-saturating",
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.99], "discriminator": {"lr": 2e-4}},
        "batch": 128,
    }
    width: Annotated[int, Field(gt=0)] = 8
    shrink: Annotated[int, Field(gt=0)] = 4
    latent: Annotated[int, Field(gt=0)] = 256

    discriminator_turns = 1

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x C x H x H; discriminator: B x C x H x H -> B x 1."""
        size, widths = square(spec, self.name, SIZES), tuple(self.width << i for i in range(DEPTH + 1))
        generator = nn.Sequential(
            *body(self.latent, widths[::-1], size, kernel=3),
            nn.Conv2d(self.width, spec.shape[0], 3, padding=1),
            nn.Tanh(),
        )
        judged = tuple(max(1, width // self.shrink) for width in widths[:DEPTH])
        judge = discriminator(spec.shape[0], judged, size, kernel=3, slope=0.3, first=True)
        return {"generator": initialise(generator), "discriminator": initialise(judge)}
