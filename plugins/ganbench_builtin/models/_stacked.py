"""Convolutional networks for stacked digits: strides of 2 down to a few pixels, whatever the size."""

from __future__ import annotations

from torch import nn


def halvings(size: int, count: int) -> list[int]:
    """Sides of an image that is halved `count` times, rounded up: the whole one first."""
    sides = [size]
    for _ in range(count):
        sides.append((sides[-1] + 1) // 2)
    return sides


def grow(before: int, after: int, small: int, large: int, kernel: int) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 from a side of `small` to `large`, which halves to it."""
    return nn.ConvTranspose2d(
        before, after, kernel, 2, kernel // 2, output_padding=large - (2 * small - 1), bias=False
    )


def shrink(before: int, after: int, kernel: int, bias: bool) -> nn.Conv2d:
    """A convolution of stride 2 that halves the side, rounded up."""
    return nn.Conv2d(before, after, kernel, 2, kernel // 2, bias=bias)


def generator(latent: int, widths: tuple[int, ...], channels: int, size: int, kernel: int) -> nn.Sequential:
    """B x latent -> B x channels x size x size, through `widths` from the smallest side to the image."""
    sides = halvings(size, len(widths))[::-1]
    base = sides[0]
    layers: list[nn.Module] = [
        nn.Linear(latent, widths[0] * base * base, bias=False),
        nn.Unflatten(1, (widths[0], base, base)),
    ]
    for i, width in enumerate(widths):
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        after = widths[i + 1] if i + 1 < len(widths) else channels
        layers.append(grow(width, after, sides[i], sides[i + 1], kernel))
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(
    channels: int, widths: tuple[int, ...], size: int, kernel: int, slope: float
) -> nn.Sequential:
    """B x channels x size x size -> B x 1, batch norm in all layers but the first."""
    layers: list[nn.Module] = []
    before = channels
    for i, width in enumerate(widths):
        layers.append(shrink(before, width, kernel, bias=i == 0))
        layers += [*([nn.BatchNorm2d(width)] if i else []), nn.LeakyReLU(slope)]
        before = width
    side = halvings(size, len(widths))[-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, 1))
