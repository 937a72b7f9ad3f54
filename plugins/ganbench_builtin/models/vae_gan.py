"""VAE/GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench import Nets, Turn
from ganbench_builtin.models._aside import aside
from ganbench_builtin.models._conv import generator, initialise, square, trunk
from ganbench_builtin.models._mlp import mlp
from ganbench_builtin.models._vae import coded, kl_dimensions
from ganbench_builtin.models.dcgan import SIZES


class _Judge(nn.Module):
    """A discriminator that also shows what its last layer takes in."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """B x shape -> B x (1 + features)."""
        features = self.body(x)
        return torch.cat([self.head(features), features], dim=1)


@dataclass(frozen=True)
class VAEGAN(ganbench.Model):
    """VAE/GAN: a VAE whose likelihood is of discriminator features (Larsen et al. 2016, arXiv:1512.09300).

    The generator is the VAE's decoder. The discriminator judges its samples from the prior and its
    reconstructions, each kind half of fake_logits (the published objective adds them, which weighs them twice
    against the data). A reconstruction's error is half the squared distance of its features from the
    sample's, where features are what the discriminator's last layer takes in (the paper: one layer of it).
    The encoder lowers KL + error, the generator its adversarial loss + gamma error; all move at once, as in
    algorithm 1. The recipe: the paper's loss, RMSprop of 3e-4, batches of 64.

    Arguments:
        net: perceptrons for any data, or DCGAN's networks for images of 16, 28, 32 or 64 pixels.
        hidden: widths of the perceptrons' hidden layers; the generator's are in reverse.
        width: channels next to the image, of the convolutional networks.
        latent: numbers of a code.
        gamma: weight of the reconstruction's error for the generator; the paper names no value.
    """

    name = "vae-gan"
    family = "adversarial"
    recipe = {"loss": "minimax", "optimizer": {"name": "rmsprop", "lr": 3e-4}, "batch": 64}
    shows = ("mean", "log_variance", "reconstruction")
    net: Literal["mlp", "conv"] = "mlp"
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = (128, 128)
    width: Annotated[int, Field(gt=0)] = 64
    latent: Annotated[int, Field(gt=0)] = 16
    gamma: Annotated[float, Field(ge=0)] = 1.0

    def players(self) -> dict[str, tuple[str, ...]]:
        """Encoder, generator and discriminator, with one network each."""
        return {name: (name,) for name in ("encoder", "generator", "discriminator")}

    def turns(self) -> tuple[Turn, ...]:
        """One turn, in which all players move."""
        return (("encoder", "generator", "discriminator"),)

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """encoder: B x shape -> B x 2 latent; generator: B x latent -> B x shape.

        discriminator: B x shape -> B x (1 + features). "features" is a place to ask for what it last saw
        (see `conditioned`).
        """
        nets = self._conv(spec) if self.net == "conv" else self._mlp(spec)
        return {**nets, "features": nn.Identity()}

    def _conv(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        square(spec, f"{self.name} with net = 'conv'", SIZES)
        body, features = trunk(self.width, spec)
        encoder = nn.Sequential(*body, nn.Linear(features, 2 * self.latent))
        judge = _Judge(nn.Sequential(*trunk(self.width, spec)[0]), features)
        drawing = generator(self.latent, self.width, spec)
        return {
            "encoder": initialise(encoder),
            "generator": initialise(drawing),
            "discriminator": initialise(judge),
        }

    def _mlp(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        widths = (spec.numel, *self.hidden)
        decoder = mlp((self.latent, *widths[::-1]), "relu")
        if len(spec.shape) > 1:
            decoder = nn.Sequential(decoder, nn.Tanh(), nn.Unflatten(1, spec.shape))
        layers = [mlp(widths, "leaky-relu"), nn.LeakyReLU(0.2)] if self.hidden else []
        return {
            "encoder": nn.Sequential(nn.Flatten(), mlp((*widths, 2 * self.latent), "relu")),
            "generator": decoder,
            "discriminator": _Judge(nn.Sequential(nn.Flatten(), *layers), widths[-1]),
        }

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """noise of the reparametrisation, and prior, codes from it: B x latent each."""
        return {role: ganbench.Draw((batch, self.latent)) for role in ("noise", "prior")}

    def conditioned(self, nets: Nets, batch: Mapping[str, Tensor]) -> Nets:
        """The discriminator's logits alone, the features behind them beside."""
        return aside(nets, "discriminator", "features")

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a player's objective reads.

        For the encoder kl and feature_error, B each; for the generator feature_error, fake (from the prior)
        and fake_logits, 2B x 1, of reconstructions and of fake; for the discriminator the last two, and, as
        for the generator where the loss pairs them, real_logits, 2B x 1: those of the data, twice.
        """
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        rebuilt = nets["generator"](coded(mean, log_variance, batch["noise"]))
        rebuilt_logits, rebuilt_features = _judged(nets, rebuilt)
        real_logits, real_features = _judged(nets, batch["data"])
        error = (rebuilt_features - real_features).square().sum(1) / 2
        if player == "encoder":
            return {"kl": kl_dimensions(mean, log_variance).sum(1), "feature_error": error}
        fake = nets["generator"](batch["prior"])
        out = {"fake": fake, "fake_logits": torch.cat([rebuilt_logits, nets["discriminator"](fake)])}
        if player == "generator":
            out["feature_error"] = error
        if player == "discriminator" or self.pairs:
            out["real_logits"] = torch.cat([real_logits, real_logits])
        return out

    def terms(self, player: str, out: Mapping[str, Tensor]) -> Tensor | None:
        """The encoder's objective; the generator's weighed error."""
        if player == "encoder":
            return (out["kl"] + out["feature_error"]).mean()
        return self.gamma * out["feature_error"].mean() if player == "generator" else None

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """prior: n x latent."""
        return {"prior": ganbench.Draw((n, self.latent))}

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """What the generator makes of codes from the prior."""
        samples: Tensor = nets["generator"](batch["prior"])
        return samples

    def inspect(self, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of held-out rows: the posterior's mean and log_variance, n x latent; reconstruction at the mean."""
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        return {"mean": mean, "log_variance": log_variance, "reconstruction": nets["generator"](mean)}


def _judged(nets: Nets, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and features."""
    logits = nets["discriminator"](x)
    return logits, nets["features"]()
