"""The networks of PacGAN's experiments on points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import Turn
from ganbench_builtin.models._adversarial import Adversarial


class LinearMaxout(nn.Module):
    """The largest of several linear maps (Goodfellow et al. 2013, arXiv:1302.4389)."""

    def __init__(self, before: int, after: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(before, after * pieces)
        self.shape = (after, pieces)

    def forward(self, x: Tensor) -> Tensor:
        """B x before -> B x after."""
        return self.linear(x).unflatten(1, self.shape).amax(2)


@dataclass(frozen=True)
class PacGANNet(Adversarial):
    """Networks of PacGAN's ring and grid (Lin et al. 2018, arXiv:1712.04086, after VEEGAN and ALI).

    A generator of four hidden layers of 400 with batch norm and ReLU, a discriminator of three of 200 with
    maxout over 5, two numbers of noise, weights from N(0, .02). The recipe: Adam of 1e-4 and beta1 .8,
    batches of 100 (under packing of m: 100 packs, which is a batch of 100 m here). As in the authors' code
    both players move at once. Published numbers are after 400 epochs of 100,000 points, or packs.

    Arguments:
        generator_hidden: widths of the generator's hidden layers.
        discriminator_hidden: widths of the discriminator's.
        pieces: linear maps under each maximum.
        latent: numbers of noise.
        alternating: the discriminator moves first, the generator after it.
    """

    name = "pacgan-net"
    recipe = {
        "loss": "non-saturating",
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.8, 0.999]},
        "batch": 100,
    }
    generator_hidden: tuple[Annotated[int, Field(gt=0)], ...] = (400, 400, 400, 400)
    discriminator_hidden: tuple[Annotated[int, Field(gt=0)], ...] = (200, 200, 200)
    pieces: Annotated[int, Field(gt=0)] = 5
    latent: Annotated[int, Field(gt=0)] = 2
    alternating: bool = False

    discriminator_turns = 1

    def turns(self) -> tuple[Turn, ...]:
        """One simultaneous turn, or two."""
        return super().turns() if self.alternating else (("generator", "discriminator"),)

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x d; discriminator: B x d -> B x 1."""
        if len(spec.shape) != 1:
            raise ganbench.BadInput(f"pacgan-net draws points, not samples of shape {spec.shape}")
        nets = {"generator": self._generator(spec), "discriminator": self._discriminator(spec)}
        for net in nets.values():
            net.apply(_initialise)
        return nets

    def _generator(self, spec: ganbench.DataSpec) -> nn.Module:
        layers: list[nn.Module] = []
        before = self.latent
        for width in self.generator_hidden:  # no bias before a batch norm, which would take it away
            layers += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            before = width
        return nn.Sequential(*layers, nn.Linear(before, spec.numel))

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        layers: list[nn.Module] = []
        before = spec.numel
        for width in self.discriminator_hidden:
            layers.append(LinearMaxout(before, width, self.pieces))
            before = width
        return nn.Sequential(*layers, nn.Linear(before, 1))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
