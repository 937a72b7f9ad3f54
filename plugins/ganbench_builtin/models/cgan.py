"""Conditional GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench_builtin.models._conditional import Conditional, one_hot


class _Beside(nn.Module):
    """A discriminator that sees the label beside the sample: as further numbers, or as planes of an image."""

    def __init__(self, net: nn.Module, classes: int, planes: bool) -> None:
        super().__init__()
        self.net, self.classes, self.planes = net, classes, planes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """B x shape and B labels -> B x 1."""
        hot = one_hot(labels, self.classes, x)
        if self.planes:
            hot = hot[:, :, None, None].expand(-1, -1, *x.shape[2:])
        out: Tensor = self.net(torch.cat([x if self.planes else x.flatten(1), hot], dim=1))
        return out


@dataclass(frozen=True)
class CGAN(Conditional):
    """Conditional GAN: the label beside noise and sample (Mirza and Osindero 2014, arXiv:1411.1784).

    Arguments:
        net: perceptrons for any data, or the networks of DCGAN, where labels are planes of the image.
        hidden: widths of the perceptrons' hidden layers.
        width: channels next to the image, of the convolutional networks.
        latent: numbers of noise.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "cgan"
    net: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128)
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 16
    discriminator_turns: Annotated[int, Field(gt=0)] = 1

    def _discriminator(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x shape, B -> B x 1."""
        shape = (spec.shape[0] + spec.classes, *spec.shape[1:])
        body, features = self._features(shape, spec.numel + spec.classes)
        return _Beside(nn.Sequential(body, nn.Linear(features, 1)), spec.classes, self.net == "conv")
