"""Deep convolutional GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import pair, square

SIZES = (16, 28, 32, 64)


@dataclass(frozen=True)
class DCGAN(Adversarial):
    """DCGAN (Radford et al. 2016, arXiv:1511.06434) for images of 16, 28, 32 or 64 pixels a side.

    Strided 4 x 4 convolutions, two of them for small images and the paper's four for 64 pixels; weights from
    N(0, .02); batch norm in the generator, none in the discriminator (so that gradient penalties, which look
    at single samples, are sound), leaky ReLU .2.

    Arguments:
        width: channels next to the image; they double at every halving.
        latent: numbers of noise.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "dcgan"
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 100
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x C x H x H; discriminator: B x C x H x H -> B x 1."""
        square(spec, self.name, SIZES)
        return pair(self.latent, self.width, spec)
