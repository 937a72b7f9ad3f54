"""Variational autoencoder of two multilayer perceptrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.models._mlp import Activation, mlp
from ganbench_builtin.models._vae import VAE


@dataclass(frozen=True)
class MLPVAE(VAE):
    """VAE with a Gaussian posterior, of perceptrons (Kingma and Welling 2014, arXiv:1312.6114).

    Points want the Gaussian decoder.

    Arguments:
        hidden: widths of the encoder's hidden layers; the decoder's are in reverse.
        activation: between layers.
        latent: numbers of a code.
        decoder: "bernoulli" is for images, their bytes scaled to [0, 1]; "gaussian" is in units of the data.
        variance: of the Gaussian decoder: "fixed", or "learned", one for all outputs (Rybkin et al. 2021,
            arXiv:2006.13202).
        sigma: the Gaussian decoder's standard deviation; where it is learned, the first one: 1 in the paper.
            From one as large as the data's own codes may collapse, from a small one they begin far from the
            prior.
        particles: codes a sample. The ELBO is their mean; IWAE is made for several.
        evaluation_particles: codes a held-out sample, for metrics of the likelihood.
    """

    name = "mlp-vae"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128,)
    activation: Activation = "relu"

    def encoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x shape -> B x 2 latent."""
        return nn.Sequential(nn.Flatten(), mlp((spec.numel, *self.hidden, 2 * self.latent), self.activation))

    def decoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x latent -> B x shape."""
        widths = (self.latent, *reversed(self.hidden), spec.numel)
        return nn.Sequential(mlp(widths, self.activation), nn.Unflatten(1, spec.shape))
