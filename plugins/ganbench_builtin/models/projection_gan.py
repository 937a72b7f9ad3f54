"""Conditional GAN with a projection discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench_builtin.models._conditional import Conditional, one_hot


class _Projection(nn.Module):
    """psi(phi(x)) + <v_y, phi(x)>."""

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body, self.classes = body, classes
        self.embedding = nn.Linear(classes, features, bias=False)
        self.linear = nn.Linear(features, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """B x shape and B labels -> B x 1."""
        features = self.body(x)
        projected = (self.embedding(one_hot(labels, self.classes, x)) * features).sum(1, keepdim=True)
        out: Tensor = self.linear(features) + projected
        return out


@dataclass(frozen=True)
class ProjectionGAN(Conditional):
    """Conditional GAN with a projection discriminator (Miyato and Koyama 2018, arXiv:1802.05637, eq. 3).

    The discriminator's logit is psi(phi(x)) + <v_y, phi(x)>, with one vector v a class. The generator is
    given the label with the noise (the paper's has a batch norm of its own for every class).

    Arguments:
        net: perceptrons for any data, or the networks of DCGAN.
        hidden: widths of the perceptrons' hidden layers.
        width: channels next to the image, of the convolutional networks.
        latent: numbers of noise.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "projection-gan"
    net: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128)
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 16
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x shape, B -> B x 1."""
        body, features = self._features(spec.shape, spec.numel)
        return _Projection(body, features, spec.classes)
