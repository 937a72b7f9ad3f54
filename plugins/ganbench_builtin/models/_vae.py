"""What variational autoencoders have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench import Nets


def kl_dimensions(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, e^log_variance) || N(0, 1)) of each number, in nats."""
    return (mean.square() + torch.expm1(log_variance) - log_variance) / 2


def coded(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Codes from the posterior by its reparametrisation."""
    return mean + torch.exp(log_variance / 2) * noise


class LogSigma(nn.Module):
    """One learned number: the logarithm of the standard deviation that all outputs share."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(math.log(sigma)))

    def forward(self) -> Tensor:
        """The logarithm of sigma, a scalar."""
        return self.value


@dataclass(frozen=True)
class VAE(ganbench.Model):
    """One player with an encoder, a decoder and, where it learns its variance, "log_sigma".

    Subclasses are dataclasses that make the first two.
    """

    family = "variational"
    recipe: ClassVar[Mapping[str, Any]] = {"loss": "elbo"}
    shows = ("mean", "log_variance", "reconstruction", "decoder_variance", "log_likelihood", "log_weights")
    latent: Annotated[int, Field(gt=0)] = 8
    decoder: Literal["bernoulli", "gaussian"] = "bernoulli"
    variance: Literal["fixed", "learned"] = "fixed"
    sigma: Annotated[float, Field(gt=0)] = 0.1
    particles: Annotated[int, Field(gt=0)] = 1
    evaluation_particles: Annotated[int, Field(gt=0)] = 16

    @abstractmethod
    def encoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x shape -> B x 2 latent: mean and log variance of the posterior."""

    @abstractmethod
    def decoder_network(self, spec: ganbench.DataSpec) -> nn.Module:
        """B x latent -> B x shape: logits of the Bernoulli decoder, means of the Gaussian one."""

    @property
    def learns_sigma(self) -> bool:
        """Whether the decoder's standard deviation is a parameter."""
        return self.decoder == "gaussian" and self.variance == "learned"

    def players(self) -> dict[str, tuple[str, ...]]:
        """One player that owns all networks."""
        return {"vae": ("encoder", "decoder", *(("log_sigma",) if self.learns_sigma else ()))}

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """encoder: B x shape -> B x 2 latent; decoder: B x latent -> B x shape; log_sigma: a scalar."""
        if self.decoder == "bernoulli" and len(spec.shape) == 1:
            what = "the bernoulli decoder is of pixels, and the data are points"
            raise ganbench.BadInput(f"{self.name}: {what}; choose decoder = 'gaussian'")
        nets = {"encoder": self.encoder_network(spec), "decoder": self.decoder_network(spec)}
        return nets | ({"log_sigma": LogSigma(self.sigma)} if self.learns_sigma else {})

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """noise of the reparametrisation, particles x B x latent; prior, codes from it, B x latent."""
        return self._draws(self.particles, batch)

    def _draws(self, particles: int, batch: int) -> dict[str, ganbench.Draw]:
        shape = (batch, self.latent)
        return {"noise": ganbench.Draw((particles, *shape)), "prior": ganbench.Draw(shape)}

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What there is to know of the batch, in nats.

        log_likelihood (B, mean over particles) and kl (B); kl_dimensions, mean and log_variance of the
        posterior, code (the first particle) and prior (draws from it), B x latent; log_weights, particles x
        B: log p(x|z) + log p(z) - log q(z|x).
        """
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        kl = kl_dimensions(mean, log_variance)
        codes = coded(mean, log_variance, batch["noise"])
        log_likelihood, log_weights = self._weigh(nets, batch["data"], codes, log_variance, batch["noise"])
        return {
            "log_likelihood": log_likelihood.mean(0),
            "kl": kl.sum(1),
            "kl_dimensions": kl,
            "mean": mean,
            "log_variance": log_variance,
            "code": codes[0],
            "prior": batch["prior"],
            "log_weights": log_weights,
        }

    def _weigh(
        self, nets: Nets, data: Tensor, codes: Tensor, log_variance: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """log p(x|z) and log p(z, x) - log q(z|x) of codes, particles x B x latent; each particles x B."""
        decoded = nets["decoder"](codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
        log_sigma = nets["log_sigma"]() if self.learns_sigma else None
        log_likelihood = self.log_likelihood(data, decoded, log_sigma)
        return log_likelihood, log_likelihood + (noise.square() + log_variance - codes.square()).sum(2) / 2

    def log_likelihood(self, data: Tensor, decoded: Tensor, log_sigma: Tensor | None = None) -> Tensor:
        """log p(x|z) in nats, particles x B, of what the decoder gave, particles x B x shape."""
        if self.decoder == "bernoulli":
            target = ((data + 1) / 2).expand_as(decoded)
            return -F.binary_cross_entropy_with_logits(decoded, target, reduction="none").flatten(2).sum(2)
        sigma: Any = self.sigma if log_sigma is None else log_sigma.exp()
        constant = (math.log(self.sigma) if log_sigma is None else log_sigma) + math.log(2 * math.pi) / 2
        return -(((data - decoded) / sigma).square() / 2 + constant).flatten(2).sum(2)

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """prior, n x latent; noise for `inspect`, evaluation_particles x n x latent."""
        return self._draws(self.evaluation_particles, n)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """The decoder's mean at codes from the prior."""
        return self._mean(nets["decoder"](batch["prior"]))

    def _mean(self, decoded: Tensor) -> Tensor:
        """The decoder's mean, in the range of the data."""
        if self.decoder == "bernoulli":
            return 2 * torch.sigmoid(decoded) - 1
        return decoded if decoded.dim() == 2 else decoded.clamp(-1, 1)

    def _variance(self, nets: Nets, decoded: Tensor) -> Tensor:
        """Of each number under the decoder's law, in the range of the data."""
        if self.decoder == "bernoulli":
            return 4 * torch.sigmoid(decoded) * torch.sigmoid(-decoded)
        sigma = nets["log_sigma"]().exp() if self.learns_sigma else torch.full_like(decoded, self.sigma)
        return sigma.square().expand_as(decoded)

    def inspect(self, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of each held-out row: the posterior, the decoder's mean at its mean, and the likelihoods.

        mean and log_variance, n x latent; reconstruction, n x shape; decoder_variance, n x shape, of each
        number around it; log_likelihood (n) and log_weights (evaluation_particles x n) as those of `play`.
        """
        data, noises = batch["data"], batch["noise"].split(1)  # one by one, for they may be many
        mean, log_variance = nets["encoder"](data).chunk(2, dim=1)
        weighed = [
            self._weigh(nets, data, coded(mean, log_variance, noise), log_variance, noise) for noise in noises
        ]
        log_likelihoods, log_weights = (torch.cat(parts) for parts in zip(*weighed, strict=True))
        decoded = nets["decoder"](mean)
        return {
            "mean": mean,
            "log_variance": log_variance,
            "reconstruction": self._mean(decoded),
            "decoder_variance": self._variance(nets, decoded),
            "log_likelihood": log_likelihoods.mean(0),
            "log_weights": log_weights,
        }
