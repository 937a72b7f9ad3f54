"""Toy games in which components are tried: two tiny GANs, a logistic loss, and small data of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.components.data import Data, DataSpec
from ganbench.components.kinds import Loss, Model
from ganbench.errors import BadInput
from ganbench.game.draws import Draw, stream
from ganbench.game.nets import Nets

# small, so that all checks of a component take seconds
SIZE = 64
"""Training samples; a quarter as many are held out."""


@dataclass(frozen=True)
class ToyGAN(Model):
    """Two small multilayer perceptrons (after Goodfellow et al. 2014, arXiv:1406.2661).

    Arguments:
        width: of the one hidden layer.
    """

    name = "toy-gan"
    family = "adversarial"
    width: int = 8

    def players(self) -> dict[str, tuple[str, ...]]:
        """Generator and discriminator, with one network each."""
        return {"generator": ("generator",), "discriminator": ("discriminator",)}

    def turns(self) -> tuple[tuple[str, ...], ...]:
        """The discriminator moves first, then the generator."""
        return (("discriminator",), ("generator",))

    def networks(self, spec: DataSpec) -> dict[str, nn.Module]:
        """generator: B x 2 -> B x shape; discriminator: B x shape -> B x 1."""
        width, numel = self.width, spec.numel
        generator = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, numel))
        discriminator = nn.Sequential(nn.Flatten(), nn.Linear(numel, width), nn.Tanh(), nn.Linear(width, 1))
        shaped = nn.Unflatten(1, spec.shape)
        return {"generator": nn.Sequential(generator, shaped), "discriminator": discriminator}

    def draws(self, spec: DataSpec, batch: int) -> dict[str, Draw]:
        """The generator's input: Gaussian noise, B x 2."""
        return {"noise": Draw((batch, 2))}

    def play(self, player: str, nets: Nets, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """fake and fake_logits; real_logits on the discriminator's turn, or where the loss pairs them."""
        fake = nets["generator"](batch["noise"])
        out = {"fake": fake, "fake_logits": nets["discriminator"](fake)}
        if player == "discriminator" or self.pairs:
            out["real_logits"] = nets["discriminator"](batch["data"])
        return out

    def sample_draws(self, spec: DataSpec, n: int) -> dict[str, Draw]:
        """The generator's input: Gaussian noise, n x 2."""
        return self.draws(spec, n)

    def sample(self, nets: Nets, batch: Mapping[str, Tensor]) -> Tensor:
        """Generated samples, n x shape."""
        samples: Tensor = nets["generator"](batch["noise"])
        return samples


@dataclass(frozen=True)
class ToyConvGAN(ToyGAN):
    """A convolutional discriminator against the same generator; for images (after Radford et al. 2016).

    Arguments:
        width: of the hidden layers.
    """

    name = "toy-conv-gan"

    def networks(self, spec: DataSpec) -> dict[str, nn.Module]:
        """discriminator: B x C x H x W -> B x 1, two layers, strides of 2."""
        if len(spec.shape) != 3:
            raise BadInput("it is for images")
        channels, height, _ = spec.shape
        discriminator = nn.Sequential(
            nn.Conv2d(channels, self.width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(self.width * (height // 2) ** 2, 1),
        )
        return super().networks(spec) | {"discriminator": discriminator}


@dataclass(frozen=True)
class ToyLoss(Loss):
    """Logistic, non-saturating (Goodfellow et al. 2014, arXiv:1406.2661)."""

    name = "toy-loss"
    family = "adversarial"

    def discriminator(self, out: Mapping[str, Tensor]) -> Tensor:
        """log(1 + exp(-D(x))) + log(1 + exp(D(G(z))))."""
        return F.softplus(-out["real_logits"]).mean() + F.softplus(out["fake_logits"]).mean()

    def generator(self, out: Mapping[str, Tensor]) -> Tensor:
        """log(1 + exp(-D(G(z))))."""
        return F.softplus(-out["fake_logits"]).mean()


def points() -> Data:
    """Four modes on the plane."""
    modes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    # 5/4: the last fifth is held out
    noise = torch.randn(SIZE * 5 // 4, 2, generator=_generator("points")) * 0.05
    spread = modes[torch.arange(len(noise)) % 4] + noise
    labels = torch.arange(len(noise)) % 4
    return Data(
        train=spread[:SIZE],
        test=spread[SIZE:],
        train_labels=labels[:SIZE],
        test_labels=labels[SIZE:],
        classes=4,
        modes=modes,
        sigma=0.05,
    )


def point() -> Data:
    """A single number, always 0: the data of the Dirac-GAN (Mescheder et al. 2018, arXiv:1801.04406)."""
    return Data(train=torch.zeros(SIZE, 1), test=torch.zeros(SIZE // 4, 1))


def images(channels: int = 1, side: int = 16, classes: int = 4) -> Data:
    """Smooth noise, with labels, label maps and a source domain."""
    count = SIZE * 5 // 4
    made = torch.rand(count, channels, side, side, generator=_generator("images", channels, side)) * 2 - 1
    source = torch.rand(count, channels, side, side, generator=_generator("source", channels, side)) - 0.5
    maps = torch.randint(3, (count, side, side), generator=_generator("maps", side)).byte()
    labels = torch.arange(count) % classes
    return Data(
        train=made[:SIZE],
        test=made[SIZE:],
        train_labels=labels[:SIZE],
        test_labels=labels[SIZE:],
        classes=classes,
        maps=maps[:SIZE],
        test_maps=maps[SIZE:],
        map_classes=3,
        source=source[:SIZE],
        test_source=source[SIZE:],
    )


def stacks() -> Data:
    """Three channels and a thousand classes, as stacked digits have them."""
    return images(channels=3, classes=1000)


def _generator(*role: object) -> torch.Generator:
    return stream("cpu", 0, "toys", *role)
