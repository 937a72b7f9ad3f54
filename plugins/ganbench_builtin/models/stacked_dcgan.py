"""The DCGAN of VEEGAN's stacked MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import Turn
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import initialise, square
from ganbench_builtin.models._stacked import body, discriminator, grow, halvings

SIZES = (8, 16, 28, 32)
DEPTH = 4


@dataclass(frozen=True)
class StackedDCGAN(Adversarial):
    """DCGAN for stacked MNIST in the setting of VEEGAN (Lin et al. 2018, arXiv:1712.04086, section 4.2).

    Four layers of 5 x 5 convolutions with stride 2 in each network, `width` to 8 `width` channels, batch norm
    in both (not in the discriminator's first layer), weights from N(0, .02), noise uniform in [-1, 1); two
    turns of the generator to one of the discriminator, all after the authors' code. The recipe: Adam of 2e-4
    and beta1 .5, batches of 64 (under packing of m: 64 packs, which is a batch of 64 m here).

    Arguments:
        width: channels next to the image; they double at every halving.
        latent: numbers of noise.
        generator_turns: turns of the generator to one of the discriminator.
    """

    name = "stacked-dcgan"
    recipe = {
        "loss": "non-saturating",
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "batch": 64,
    }
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 100
    generator_turns: Annotated[int, Field(gt=0)] = 2

    discriminator_turns = 1

    def turns(self) -> tuple[Turn, ...]:
        """The discriminator's turn, then the generator's."""
        return (("discriminator",), *(("generator",),) * self.generator_turns)

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise: B x latent, uniform in [0, 1), which the generator begins by centring."""
        return {"noise": ganbench.Draw((batch, self.latent), "uniform")}

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x C x H x H; discriminator: B x C x H x H -> B x 1."""
        size, widths = square(spec, self.name, SIZES), tuple(self.width << i for i in range(DEPTH))
        half = halvings(size, 1)[-1]
        generator = nn.Sequential(
            _Centred(),
            *body(self.latent, widths[::-1], half, kernel=5),
            grow(self.width, spec.shape[0], half, size, kernel=5, bias=True),
            nn.Tanh(),
        )
        judge = discriminator(spec.shape[0], widths, size, kernel=5, slope=0.2, first=False)
        return {"generator": initialise(generator), "discriminator": initialise(judge)}


class _Centred(nn.Module):
    def forward(self, noise: Tensor) -> Tensor:
        """From [0, 1) to [-1, 1)."""
        return 2 * noise - 1
