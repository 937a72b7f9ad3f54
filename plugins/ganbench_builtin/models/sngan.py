"""The residual GAN of the spectral normalisation paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

import ganbench
from ganbench_builtin.models._adversarial import Adversarial
from ganbench_builtin.models._conv import square

SIZES = (16, 28, 32)


class _Up(nn.Module):
    """Batch norm, ReLU, twice the size, convolution; twice; beside a 1 x 1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.convs = nn.ModuleList(_conv(channels, channels) for _ in range(2))
        self.shortcut = _conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x H -> B x C x 2H x 2H."""
        inside = _twice(F.relu(self.norms[0](x)))
        inside = self.convs[1](F.relu(self.norms[1](self.convs[0](inside))))
        out: Tensor = inside + self.shortcut(_twice(x))
        return out


class _Down(nn.Module):
    """Two convolutions, then half the size if asked; beside a 1 x 1 convolution where anything changes."""

    def __init__(self, before: int, after: int, halve: bool, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.convs = nn.ModuleList([_conv(before, after), _conv(after, after)])
        self.shortcut = _conv(before, after, 1) if halve or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x H -> B x C' x H/2 x H/2, or x H x H."""
        inside = x if self.first else F.relu(x)  # an image is not rectified
        inside = self.convs[1](F.relu(self.convs[0](inside)))
        beside = self.shortcut(x)
        out: Tensor = inside + beside
        return F.avg_pool2d(out, 2) if self.halve else out


@dataclass(frozen=True)
class SNGAN(Adversarial):
    """Residual GAN for images of 32 pixels (Miyato et al. 2018, arXiv:1802.05957, table 4).

    The recipe is the paper's: spectral norm, hinge loss, five discriminator turns, Adam of 2e-4 and betas 0
    and .9. Images of 16 and 28 pixels are grown in two steps in place of three. Weights are Glorot's uniform,
    with a gain of sqrt(2) inside the residual blocks, and biases 0, none at the discriminator's end, after
    the authors' code. Not in the recipe: that code shows the generator's turn twice the batch, and lowers the
    learning rates to 0 in a line.

    Arguments:
        width: channels of the generator.
        discriminator_width: channels of the discriminator.
        latent: numbers of noise.
        discriminator_turns: turns of the discriminator to one of the generator.
    """

    name = "sngan"
    recipe = {
        "loss": "hinge",
        "techniques": ["spectral-norm"],
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9]},
        "batch": 64,
    }
    width: Annotated[int, Field(gt=0)] = 256
    discriminator_width: Annotated[int, Field(gt=0)] = 128
    latent: Annotated[int, Field(gt=0)] = 128
    discriminator_turns: Annotated[int, Field(gt=0)] = 5

    def networks(self, spec: ganbench.DataSpec) -> dict[str, nn.Module]:
        """generator: B x latent -> B x C x H x H; discriminator: B x C x H x H -> B x 1."""
        size = square(spec, self.name, SIZES)
        return {
            "generator": self._generator(spec.shape[0], size),
            "discriminator": self._discriminator(spec.shape[0]),
        }

    def _generator(self, channels: int, size: int) -> nn.Module:
        width, growths = self.width, 3 if size == 32 else 2
        base = size >> growths
        return nn.Sequential(
            _linear(self.latent, width * base * base),
            nn.Unflatten(1, (width, base, base)),
            *(_Up(width) for _ in range(growths)),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            _conv(width, channels, gain=1.0),
            nn.Tanh(),
        )

    def _discriminator(self, channels: int) -> nn.Module:
        width = self.discriminator_width
        return nn.Sequential(
            _Down(channels, width, halve=True, first=True),
            _Down(width, width, halve=True),
            _Down(width, width, halve=False),
            _Down(width, width, halve=False),
            nn.ReLU(),
            _SumOverPixels(),
            _linear(width, 1, bias=False),
        )


class _SumOverPixels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C."""
        return x.sum((2, 3))


def _linear(before: int, after: int, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(before, after, bias)
    nn.init.xavier_uniform_(linear.weight)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


def _conv(before: int, after: int, size: int = 3, gain: float | None = None) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, size, padding=size // 2)
    nn.init.xavier_uniform_(conv.weight, gain or (math.sqrt(2) if size > 1 else 1.0))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _twice(x: Tensor) -> Tensor:
    """Every pixel four times. By repetition: torch's upsampling has no second derivative under the map."""
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
