"""CycleGAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench import Nets, Turn
from ganbench_builtin.models._image_pool import ImagePool
from ganbench_builtin.models._patchgan import patch_layers, patchgan, smallest
from ganbench_builtin.models._resnet_generator import resnet_generator

_DOMAINS = ("target", "source")


@dataclass(frozen=True)
class CycleGAN(ganbench.Model):
    """CycleGAN (Zhu et al. 2017, arXiv:1703.10593): unpaired translation from a source domain to the data.

    The generator's player owns both directions, the discriminator's the judges of both domains. Both move at
    once, as published: images are translated once a step, and each player learns from the other as it was.

    The published objective of the generators is a + cycle c + identity cycle i: a sums the least-squares
    terms of both domains, c the mean absolute errors of both cycles, i those of both generators on images of
    the domain that they draw. The loss here is a mean over the logits of both domains, and least squares
    halves it, so `terms` divides by 4: the whole is a quarter of the published objective, and for the
    discriminators a half, which Adam does not feel. (Under a loss that does not halve the generator's part,
    cycles weigh half as much.)

    Images of at least 8 pixels a side, multiples of 4; both domains of one shape.

    Identity terms, and patches smaller than what distinguishes the domains, draw the generators to colours as
    they are: where the target is the negative of the source, set `identity` to 0 and take wide patches.

    Arguments:
        width, blocks: of the generators: filters of the first layer, residual blocks (9 from 256 pixels on).
        discriminator_width: filters of the discriminators' first layer.
        discriminator_layers: strided layers of the discriminators; 0 takes 1 up to 64 pixels (patches of 16),
            2 up to 128 (34), 3 above (70, as published for 256).
        cycle: weight of cycle consistency (eq. 3).
        identity: weight of the identity terms (section 5.2), as a multiple of `cycle`.
        pool: generated images of each domain that are kept to train the discriminators on (section 4);
            0 shows them the newest alone.
    """

    name = "cyclegan"
    family = "adversarial"
    shows = ("translated", "cycled")
    recipe: ClassVar[Mapping[str, Any]] = {
        "loss": "least-squares",
        "techniques": [],
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "batch": 1,
    }
    width: Annotated[int, Field(gt=0)] = 64
    blocks: Annotated[int, Field(ge=0)] = 6
    discriminator_width: Annotated[int, Field(gt=0)] = 64
    discriminator_layers: Annotated[int, Field(ge=0)] = 0
    cycle: Annotated[float, Field(ge=0)] = 10.0
    identity: Annotated[float, Field(ge=0)] = 0.5
    pool: Annotated[int, Field(ge=0)] = 50

    def players(self) -> dict[str, tuple[str, ...]]:
        """Generator and discriminator, with a network for each direction."""
        return {
            "generator": ("generator", "generator_back"),
            "discriminator": ("discriminator_target", "discriminator_source"),
        }

    def turns(self) -> tuple[Turn, ...]:
        """One turn, in which both players move."""
        return (("generator", "discriminator"),)

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator, generator_back: images to images; discriminator_…: images to B x 1 x h x w logits."""
        layers = self.discriminator_layers or patch_layers(min(spec.shape[1:], default=1))
        _check(spec, layers)
        channels = spec.shape[0]
        nets: dict[str, nn.Module] = {
            name: resnet_generator(channels, self.width, self.blocks) for name in self.players()["generator"]
        }
        for domain in _DOMAINS:
            nets[f"discriminator_{domain}"] = patchgan(channels, self.discriminator_width, layers)
            if self.pool:
                nets[f"pool_{domain}"] = ImagePool(self.pool, spec.shape)
        for net in nets.values():
            net.apply(_initialise)
        return nets

    def draws(self, spec: ganbench.DataSpec, batch: int) -> dict[str, ganbench.Draw]:
        """Of each pool, B each: whether a generated image is exchanged, and with which."""
        roles = [f"{role}_{domain}" for role in ("swap", "place") for domain in _DOMAINS if self.pool]
        return {role: ganbench.Draw((batch,), "uniform") for role in roles}

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """fake (the source, translated) and fake_logits, 2B x 1 x h x w: the target's, then the source's.

        For the generator also cycle_error and identity_error, sums of mean absolute errors; for the
        discriminator, or where the loss pairs them, real_logits in the same order.
        """
        source, target = batch["source"], batch["data"]
        if player == "discriminator":
            fakes = (nets["generator"](source), nets["generator_back"](target))
            seen = [self._pooled(nets, batch, *pair) for pair in zip(_DOMAINS, fakes, strict=True)]
            logits = {"fake_logits": _judged(nets, *seen), "real_logits": _judged(nets, target, source)}
            return {"fake": fakes[0], **logits}
        # instance norm keeps images apart, so that one call may take those of both domains
        fake, same = nets["generator"](torch.cat([source, target])).chunk(2)
        fake_back, same_back = nets["generator_back"](torch.cat([target, source])).chunk(2)
        there_and_back, back_and_there = nets["generator_back"](fake), nets["generator"](fake_back)
        out = {
            "fake": fake,
            "fake_logits": _judged(nets, fake, fake_back),
            "cycle_error": F.l1_loss(there_and_back, source) + F.l1_loss(back_and_there, target),
            "identity_error": F.l1_loss(same, target) + F.l1_loss(same_back, source),
        }
        return out | ({"real_logits": _judged(nets, target, source)} if self.pairs else {})

    def _pooled(self, nets: Nets, batch: Mapping[str, Tensor], domain: str, fake: Tensor) -> Tensor:
        if not self.pool:
            return fake
        pooled: Tensor = nets[f"pool_{domain}"](fake, batch[f"swap_{domain}"], batch[f"place_{domain}"])
        return pooled

    def terms(self, player: str, out: Mapping[str, Tensor]) -> Tensor | None:
        """Of the generator: (cycle cycle_error + identity cycle identity_error) / 4."""
        if player == "discriminator":
            return None
        return self.cycle * (out["cycle_error"] + self.identity * out["identity_error"]) / 4

    def sample_draws(self, spec: ganbench.DataSpec, n: int) -> dict[str, ganbench.Draw]:
        """None: a translation is not random."""
        return {}

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """The source's images as the target's."""
        samples: Tensor = nets["generator"](batch["source"])
        return samples

    def inspect(self, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """translated: the source's images as the target's; cycled: those brought back."""
        translated = self.sample(nets, batch)
        return {"translated": translated, "cycled": nets["generator_back"](translated)}


def _judged(nets: Nets, target: Tensor, source: Tensor) -> Tensor:
    """Logits of images of both domains, one after another."""
    return torch.cat([nets["discriminator_target"](target), nets["discriminator_source"](source)])


def _check(spec: ganbench.DataSpec, layers: int) -> None:
    """BadInput where these networks cannot take the data."""
    shape = spec.shape
    if spec.source is None:
        raise ganbench.BadInput("cyclegan translates from a source domain, which these data lack")
    if len(shape) != 3 or min(shape[1:]) < 8 or any(extent % 4 for extent in shape[1:]):
        what = "images whose sides are multiples of 4 and at least 8"
        raise ganbench.BadInput(f"cyclegan translates {what}, not samples of shape {shape}")
    if spec.source != shape:
        what = f"those here have shapes {spec.source} and {shape}"
        raise ganbench.BadInput(f"cyclegan translates between images of one shape; {what}")
    if min(shape[1:]) < smallest(layers):
        what = f"need {smallest(layers)} pixels a side, not {min(shape[1:])}"
        raise ganbench.BadInput(f"cyclegan: {layers} discriminator_layers {what}")


def _initialise(module: nn.Module) -> None:
    """Section 7.1 of the paper: N(0, .02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
