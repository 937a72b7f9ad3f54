"""Deep convolutional GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial

SIZES = (28, 32)


@dataclass(frozen=True)
class DCGAN(Adversarial):
    """DCGAN (Radford et al. 2016, arXiv:1511.06434) for images of 28 x 28 or 32 x 32.

    Strided 4 x 4 convolutions, weights from N(0, .02); batch norm in the generator, none in the
    discriminator (so that gradient penalties, which look at single samples, are sound), leaky ReLU .2.
    """

    name = "dcgan"
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 100
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x C x H x H; discriminator: B x C x H x H -> B x 1."""
        if len(spec.shape) != 3 or spec.shape[1] != spec.shape[2] or spec.shape[1] not in SIZES:
            raise ganbench.BadInput(
                f"dcgan draws images of 28 x 28 or 32 x 32, not samples of shape {spec.shape}"
            )
        nets = {"generator": self._generator(spec), "discriminator": self._discriminator(spec)}
        for net in nets.values():
            net.apply(_initialise)
        return nets

    def _generator(self, spec: ganbench.DataSpec) -> nn.Module:
        width, base = self.width, spec.shape[1] // 4
        return nn.Sequential(
            nn.Linear(self.latent, 2 * width * base * base, bias=False),
            nn.Unflatten(1, (2 * width, base, base)),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, spec.shape[0], 4, 2, 1),
            nn.Tanh(),
        )

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        width, base = self.width, spec.shape[1] // 4
        return nn.Sequential(
            nn.Conv2d(spec.shape[0], width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * base * base, 1),
        )


def _initialise(module: nn.Module) -> None:
    """Section 3 of the paper."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
