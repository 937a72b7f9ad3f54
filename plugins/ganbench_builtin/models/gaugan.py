"""GauGAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench import Nets
from ganbench_builtin.models._patchgan import MultiScale, patch_layers, smallest
from ganbench_builtin.models._perceptual import Perceptual
from ganbench_builtin.models._spade import SPADEGenerator, style_encoder


@dataclass(frozen=True)
class GauGAN(ganbench.Model):
    """GauGAN (Park et al. 2019, arXiv:1903.07291): label maps to images, by spatially adaptive normalisation.

    The generator's player also owns an encoder of the image's style; its objective is the loss, plus
    `feature_matching` times the mean absolute differences of the discriminator's features (summed over
    layers, mean over scales), `kl` times KL(style || N(0, 1)) in nats, and `perceptual` times the distance
    of VGG's features. The discriminator sees an image beside its label map, at `scales` scales. Features are
    compared on the images as they are, whatever augmentation the logits are taken under.

    Images of at least 16 pixels a side. The published networks are for 256; here the generator has a block at
    each doubling, from 4 to 7 pixels on, and patches cover about a quarter of the side. Spectral norm is a
    technique of the recipe.

    Arguments:
        latent: numbers in a style.
        width: filters of the generator's last block; twice as many at each halving.
        hidden: filters between label map and modulation.
        encoder_width, discriminator_width: filters of their first layers.
        discriminator_layers: strided layers at each scale; 0 takes 1 up to 64 pixels, 2 up to 128, 3 above.
        scales: how many discriminators, each at half the size of the one before.
        feature_matching, kl: weights of these terms.
        perceptual: weight of VGG's distance, published as 10; off, for it needs `perceptual_weights`.
        perceptual_weights: path of torchvision's vgg19-dcbb9e9d.pth, which is never downloaded.
    """

    name = "gaugan"
    family = "adversarial"
    shows = ("mean", "log_variance", "reconstruction")
    places = ("perceptual_weights",)
    recipe: ClassVar[Mapping[str, Any]] = {
        "loss": "hinge",
        "techniques": ["spectral-norm"],
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.0, 0.999], "discriminator": {"lr": 4e-4}},
        "batch": 32,
    }
    latent: Annotated[int, Field(gt=0)] = 256
    width: Annotated[int, Field(gt=0)] = 64
    hidden: Annotated[int, Field(gt=0)] = 128
    encoder_width: Annotated[int, Field(gt=0)] = 64
    discriminator_width: Annotated[int, Field(gt=0)] = 64
    discriminator_layers: Annotated[int, Field(ge=0)] = 0
    scales: Annotated[int, Field(gt=0)] = 2
    feature_matching: Annotated[float, Field(ge=0)] = 10.0
    kl: Annotated[float, Field(ge=0)] = 0.05
    perceptual: Annotated[float, Field(ge=0)] = 0.0
    perceptual_weights: str = ""

    def players(self) -> dict[str, tuple[str, ...]]:
        """The generator owns the encoder."""
        return {"generator": ("generator", "encoder"), "discriminator": ("discriminator",)}

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent, B x H x W -> B x C x H x W; encoder: B x C x H x W -> B x 2 latent;
        discriminator: B x C x H x W, B x H x W -> (B x scales x h x w, features)."""
        layers = self.discriminator_layers or patch_layers(min(spec.shape[1:], default=1))
        self._check(spec, smallest(layers) * 2 ** (self.scales - 1))
        shape, classes = spec.shape, spec.map_classes
        nets: dict[str, nn.Module] = {
            "generator": SPADEGenerator(shape, classes, self.latent, self.width, self.hidden),
            "encoder": style_encoder(shape, self.latent, self.encoder_width),
            "discriminator": MultiScale(shape[0], classes, self.discriminator_width, layers, self.scales),
            "features": nn.Identity(),  # of the discriminator: see `conditioned`
        }
        for net in nets.values():
            net.apply(_initialise)
        return nets | ({"perceptual": Perceptual(self.perceptual_weights)} if self.perceptual else {})

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Noise of the style: B x latent."""
        return {"noise": ganbench.Draw((batch, self.latent))}

    def conditioned(self, nets: Nets, batch: Mapping[str, Tensor]) -> Nets:
        """The discriminator sees this batch's label maps, and "features" gives its features of images.

        What techniques put around "discriminator" (augmentation, …) is not around "features".
        """
        labels = batch["map"]
        return nets.around("discriminator", lambda call: lambda x: call(x, labels)[0]).around(
            "features", lambda _: lambda x: nets["discriminator"](x, labels)[1]
        )

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """fake and fake_logits, B x scales x h x w; real_logits on the discriminator's turn, or if paired.

        For the generator also kl (B, nats), feature_error and, if asked for, perceptual_error.
        """
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        fake = nets["generator"](mean + torch.exp(log_variance / 2) * batch["noise"], batch["map"])
        out = {"fake": fake, "fake_logits": nets["discriminator"](fake)}
        if player == "discriminator" or self.pairs:
            out["real_logits"] = nets["discriminator"](batch["data"])
        if player == "generator":
            out["kl"] = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
            pairs = zip(nets["features"](fake), nets["features"](batch["data"]), strict=True)
            out["feature_error"] = torch.stack([F.l1_loss(*pair) for pair in pairs]).sum() / self.scales
            if self.perceptual:
                out["perceptual_error"] = nets["perceptual"](fake, batch["data"])
        return out

    def terms(self, player: str, out: Mapping[str, Tensor]) -> Tensor | None:
        """Of the generator: the weighted sum of feature_error, kl and, if asked for, perceptual_error."""
        if player == "discriminator":
            return None
        terms = self.feature_matching * out["feature_error"] + self.kl * out["kl"].mean()
        return terms + self.perceptual * out["perceptual_error"] if self.perceptual else terms

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """Styles from the prior: n x latent."""
        return self.draws(spec, n)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """Images for held-out label maps, in styles from the prior."""
        samples: Tensor = nets["generator"](batch["noise"], batch["map"])
        return samples

    def inspect(self, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """mean and log_variance of held-out images' styles, and their reconstruction in the mean style."""
        mean, log_variance = nets["encoder"](batch["data"]).chunk(2, dim=1)
        reconstruction = nets["generator"](mean, batch["map"])
        return {"mean": mean, "log_variance": log_variance, "reconstruction": reconstruction}

    def _check(self, spec: ganbench.DataSpec, smallest: int) -> None:
        """BadInput where these networks cannot take the data."""
        shape = spec.shape
        if not spec.map_classes:
            raise ganbench.BadInput("gaugan draws from label maps, which these data lack")
        if len(shape) != 3 or min(shape[1:]) < max(16, smallest):
            what = f"images of at least {max(16, smallest)} pixels a side"
            raise ganbench.BadInput(f"gaugan draws {what}, not samples of shape {shape}")
        if self.perceptual and shape[0] not in (1, 3):
            what = f"images of 1 or 3 channels, not {shape[0]}"
            raise ganbench.BadInput(f"gaugan: VGG, which the option perceptual asks for, sees {what}")


def _initialise(module: nn.Module) -> None:
    """Glorot's (appendix A of the paper)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
