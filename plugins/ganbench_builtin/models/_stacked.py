"""Convolutional networks for stacked digits: strides of 2 down to a few pixels, whatever the size."""

from __future__ import annotations

import itertools

from torch import nn


def halvings(size: int, count: int) -> list[int]:
    """Sides of an image that is halved `count` times, rounded up: the whole one first."""
    sides = [size]
    for _ in range(count):
        sides.append((sides[-1] + 1) // 2)
    return sides


def grow(before: int, after: int, small: int, large: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 from a side of `small` to `large`, which halves to it."""
    rest = large - (2 * small - 1)
    return nn.ConvTranspose2d(before, after, kernel, 2, kernel // 2, rest, bias=bias)


def body(latent: int, widths: tuple[int, ...], size: int, kernel: int) -> nn.Sequential:
    """B x latent -> B x widths[-1] x size x size, twice the side from width to width; batch norm and ReLU."""
    sides = halvings(size, len(widths) - 1)[::-1]
    layers: list[nn.Module] = [
        nn.Linear(latent, widths[0] * sides[0] ** 2, bias=False),
        nn.Unflatten(1, (widths[0], sides[0], sides[0])),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
    ]
    for (before, after), (small, large) in zip(
        itertools.pairwise(widths), itertools.pairwise(sides), strict=True
    ):
        layers.append(grow(before, after, small, large, kernel, bias=False))
        layers += [nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def discriminator(
    channels: int, widths: tuple[int, ...], size: int, kernel: int, slope: float, first: bool
) -> nn.Sequential:
    """B x channels x size x size -> B x 1, batch norm in all layers, in the first one where `first`."""
    layers: list[nn.Module] = []
    before = channels
    for index, width in enumerate(widths):
        norms = [nn.BatchNorm2d(width)] if index or first else []
        layers.append(nn.Conv2d(before, width, kernel, 2, kernel // 2, bias=not norms))
        layers += [*norms, nn.LeakyReLU(slope)]
        before = width
    side = halvings(size, len(widths))[-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, 1))
