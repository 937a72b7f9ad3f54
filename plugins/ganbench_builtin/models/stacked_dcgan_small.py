"""The small DCGAN of Unrolled GAN's stacked MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import initialise, square
from ganbench_builtin.models._stacked import discriminator, generator
from ganbench_builtin.models.stacked_dcgan import SIZES


@dataclass(frozen=True)
class StackedDCGANSmall(Adversarial):
    """Small DCGAN for stacked MNIST (Metz et al. 2017, arXiv:1611.02163, appendix; Lin et al. 2018, table 3).

    3 x 3 convolutions of stride 2: the generator has 4 `width` to `width` channels, the discriminator a
    quarter of that, 2, 4 and 8 for the default: too few to see all modes, which is the point. The recipe:
    Adam of 1e-4 (2e-4 for the discriminator), betas .5 and .99, batches of 128. The channels are the
    published ones, kernels and slopes after the paper's text from memory.

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
        size, widths = square(spec, self.name, SIZES), tuple(self.width << i for i in range(3))
        judged = tuple(max(1, width // self.shrink) for width in widths)
        return {
            "generator": initialise(generator(self.latent, widths[::-1], spec.shape[0], size, 3)),
            "discriminator": initialise(discriminator(spec.shape[0], judged, size, 3, 0.3)),
        }
