"""GAN of two multilayer perceptrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._mlp import Activation, mlp


@dataclass(frozen=True)
class MLPGAN(Adversarial):
    """Generator and discriminator are multilayer perceptrons (Goodfellow et al. 2014, arXiv:1406.2661).

    Images are flattened; the generator of images ends in tanh.

    Arguments:
        hidden: widths of the hidden layers of both networks.
        latent: numbers of noise.
        activation: between layers.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "mlp-gan"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128)
    latent: Annotated[int, Field(gt=0)] = 2
    activation: Activation = "relu"
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x shape; discriminator: B x shape -> B x 1."""
        generator = mlp((self.latent, *self.hidden, spec.numel), self.activation)
        if len(spec.shape) > 1:
            generator = nn.Sequential(generator, nn.Tanh(), nn.Unflatten(1, spec.shape))
        discriminator = mlp((spec.numel, *self.hidden, 1), self.activation)
        return {"generator": generator, "discriminator": nn.Sequential(nn.Flatten(), discriminator)}
