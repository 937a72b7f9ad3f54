"""Convolutional parts that models share."""

from __future__ import annotations

from torch import nn

import ganbench


def square(spec: ganbench.DataSpec, model: str, sizes: tuple[int, ...]) -> int:
    """The side of square images; BadInput, naming the model, where the data are something else."""
    if len(spec.shape) != 3 or spec.shape[1] != spec.shape[2] or spec.shape[1] not in sizes:
        *others, last = [f"{size} x {size}" for size in sizes]
        wanted = f"{', '.join(others)} or {last}" if others else last
        raise ganbench.BadInput(f"{model} draws images of {wanted}, not samples of shape {spec.shape}")
    return spec.shape[1]


def initialise(net: nn.Module) -> nn.Module:
    """Weights from N(0, .02), batch norm's about 1 (Radford et al. 2016, arXiv:1511.06434, section 3)."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
    return net


def levels(size: int) -> int:
    """How often an image is halved: to a side of 4 where it is 64 pixels, to a quarter below."""
    return 4 if size == 64 else 2


def generator(latent: int, width: int, spec: ganbench.DataSpec) -> nn.Sequential:
    """B x latent -> B x C x H x H: transposed convolutions of stride 2, batch norm, ReLU, tanh at the end."""
    size = spec.shape[1]
    base, channels = size >> levels(size), width << (levels(size) - 1)
    layers: list[nn.Module] = [
        nn.Linear(latent, channels * base * base, bias=False),
        nn.Unflatten(1, (channels, base, base)),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    ]
    while channels > width:
        layers += [
            nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(channels // 2),
            nn.ReLU(),
        ]
        channels //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, spec.shape[0], 4, 2, 1), nn.Tanh())


def trunk(width: int, spec: ganbench.DataSpec, norm: bool = False) -> tuple[list[nn.Module], int]:
    """Strided convolutions and leaky ReLU .2, flattened: B x C x H x H -> B x n; and that n.

    `norm`: batch norm in all layers but the first.
    """
    size, before, channels = spec.shape[1], spec.shape[0], width
    layers: list[nn.Module] = []
    for level in range(levels(size)):
        norms = [nn.BatchNorm2d(channels)] if norm and level else []
        layers += [nn.Conv2d(before, channels, 4, 2, 1, bias=not norms), *norms, nn.LeakyReLU(0.2)]
        before, channels = channels, 2 * channels
    return [*layers, nn.Flatten()], before * (size >> levels(size)) ** 2


def pair(latent: int, width: int, spec: ganbench.DataSpec, norm: bool = False) -> dict[str, nn.Module]:
    """generator and discriminator of DCGAN; `norm` is the discriminator's."""
    drawing = generator(latent, width, spec)
    body, features = trunk(width, spec, norm)
    judging = nn.Sequential(*body, nn.Linear(features, 1))
    # Both are made before either is initialised: a seed's weights depend on the order of its random numbers.
    return {"generator": initialise(drawing), "discriminator": initialise(judging)}
