"""Convolutional variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._conv import levels, square, trunk
from ganbench_builtin.models._vae import VAE
from ganbench_builtin.models.dcgan import SIZES


@dataclass(frozen=True)
class ConvVAE(VAE):
    """VAE with a Gaussian posterior (Kingma and Welling 2014, arXiv:1312.6114), of strided convolutions.

    For images of 16, 28, 32 or 64 pixels a side. Its layers are those of DCGAN (Radford et al. 2016,
    arXiv:1511.06434) without batch norm, under which the likelihood of a sample would depend on others.

    Arguments:
        width: channels next to the image; they double at every halving.
        latent: numbers of a code.
        decoder: "bernoulli" takes the images' bytes, scaled to [0, 1]; "gaussian" is in units of the data.
        variance: of the Gaussian decoder: "fixed", or "learned", one for all pixels (Rybkin et al. 2021,
            arXiv:2006.13202).
        sigma: the Gaussian decoder's standard deviation; where it is learned, the first one: 1 in the paper.
            From one as large as the data's own codes may collapse, from a small one they begin far from the
            prior.
        particles: codes a sample. The ELBO is their mean; IWAE is made for several.
        evaluation_particles: codes a held-out sample, for metrics of the likelihood.
    """

    name = "conv-vae"
    width: Annotated[int, Field(gt=0)] = 32
    latent: Annotated[int, Field(gt=0)] = 16

    def encoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x C x H x H -> B x 2 latent."""
        square(spec, self.name, SIZES)
        body, features = trunk(self.width, spec)
        return nn.Sequential(*body, nn.Linear(features, 2 * self.latent))

    def decoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x latent -> B x C x H x H."""
        count = levels(spec.shape[1])
        base, channels = spec.shape[1] >> count, self.width << (count - 1)
        layers: list[nn.Module] = [
            nn.Linear(self.latent, channels * base * base),
            nn.Unflatten(1, (channels, base, base)),
        ]
        while channels > self.width:
            layers += [nn.ReLU(), nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1)]
            channels //= 2
        return nn.Sequential(*layers, nn.ReLU(), nn.ConvTranspose2d(channels, spec.shape[0], 4, 2, 1))
