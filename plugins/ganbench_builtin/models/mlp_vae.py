"""Variational autoencoder of two multilayer perceptrons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench.nets import Nets
from ganbench_builtin.models._mlp import Activation, mlp


@dataclass(frozen=True)
class MLPVAE(ganbench.Model):
    """VAE with a Gaussian posterior (Kingma and Welling 2014, arXiv:1312.6114).

    The "bernoulli" decoder is for images (their bytes scaled to [0, 1]); the "gaussian" one has the fixed
    standard deviation `sigma`.
    """

    name = "mlp-vae"
    family = "variational"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128,)
    latent: Annotated[int, Field(gt=0)] = 8
    activation: Activation = "relu"
    decoder: Literal["bernoulli", "gaussian"] = "bernoulli"
    sigma: Annotated[float, Field(gt=0)] = 0.1

    def players(self) -> dict[str, tuple[str, ...]]:
        """One player that owns both networks."""
        return {"vae": ("encoder", "decoder")}

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """encoder: B x shape -> B x 2 latent (mean, log variance); decoder: B x latent -> B x numel."""
        encoder = mlp((spec.numel, *self.hidden, 2 * self.latent), self.activation)
        decoder = mlp((self.latent, *reversed(self.hidden), spec.numel), self.activation)
        return {
            "encoder": nn.Sequential(nn.Flatten(), encoder),
            "decoder": nn.Sequential(decoder, nn.Unflatten(1, spec.shape)),
        }

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise of the reparametrisation: B x latent."""
        return {"noise": ganbench.Draw((batch, self.latent))}

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """log_likelihood and kl of each sample in nats (B), and the posterior's mean and log_variance."""
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        code = mean + torch.exp(log_variance / 2) * batch["noise"]
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        log_likelihood = self._log_likelihood(batch["data"], nets["decoder"](code))
        return {"log_likelihood": log_likelihood, "kl": kl, "mean": mean, "log_variance": log_variance}

    def _log_likelihood(self, data: Tensor, decoded: Tensor) -> Tensor:
        """log p(x | z) of each sample, in nats."""
        if self.decoder == "bernoulli":
            pixels = F.binary_cross_entropy_with_logits(decoded, (data + 1) / 2, reduction="none")
            return -pixels.flatten(1).sum(1)
        normal = ((data - decoded) / self.sigma).square() / 2 + math.log(self.sigma * math.sqrt(2 * math.pi))
        return -normal.flatten(1).sum(1)

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """Codes from the prior: n x latent."""
        return self.draws(spec, n)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """The decoder's mean at codes from the prior."""
        decoded: Tensor = nets["decoder"](batch["noise"])
        return 2 * torch.sigmoid(decoded) - 1 if self.decoder == "bernoulli" else decoded
