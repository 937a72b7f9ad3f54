"""The Dirac-GAN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import ganbench
from ganbench import Turn
from ganbench_builtin.models._adversarial import Adversarial


class _Scalar(nn.Module):
    """One learnable number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


class _Position(_Scalar):
    def forward(self, noise: Tensor) -> Tensor:
        """B x 0 to B x 1: the generator's point mass."""
        return self.value.expand(noise.shape[0], 1)


class _Slope(_Scalar):
    def forward(self, x: Tensor) -> Tensor:
        """B x 1 to B x 1: the linear discriminator."""
        return x * self.value


@dataclass(frozen=True)
class DiracGAN(Adversarial):
    """Point mass theta against D(x) = psi x, data at 0 (Mescheder et al. 2018, arXiv:1801.04406).

    Its equilibrium is theta = psi = 0. Both players move at once unless `alternating`. It is not random:
    every seed gives the same run.

    Arguments:
        theta: where the generator's point begins.
        psi: the discriminator's slope at the beginning.
        alternating: the discriminator moves first, the generator after it.
    """

    name = "dirac-gan"
    theta: float = 1.0
    psi: float = 1.0
    alternating: bool = False

    latent = 0
    discriminator_turns = 1

    def turns(self) -> tuple[Turn, ...]:
        """One simultaneous turn, or two."""
        return super().turns() if self.alternating else (("generator", "discriminator"),)

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: theta; discriminator: x -> psi x."""
        if spec.shape != (1,):
            raise ganbench.BadInput(
                f"dirac-gan plays on one number a sample, as in 'point', not on samples of shape {spec.shape}"
            )
        return {"generator": _Position(self.theta), "discriminator": _Slope(self.psi)}
