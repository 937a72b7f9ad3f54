"""Random transforms of images, differentiable in the image: pure functions of images and uniform draws.

Images are B x C x H x W in the range of the data; each has draws of its own, a row of B x columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

import ganbench


class Transform(NamedTuple):
    """A transform, and how many uniform numbers it takes for an image."""

    apply: Callable[[Tensor, Tensor], Tensor]
    columns: int


Kind = Literal["color", "translation", "cutout", "flip", "rotation"]


def needs_images(technique: ganbench.Technique, spec: ganbench.DataSpec) -> None:
    """BadInput where samples are not images."""
    if len(spec.shape) != 3:
        raise ganbench.BadInput(f"{technique.name} transforms images, not samples of shape {spec.shape}")


def brightness(x: Tensor, uniform: Tensor) -> Tensor:
    """Adds up to a half, up or down."""
    return x + _each(uniform[:, 0] - 0.5)


def saturation(x: Tensor, uniform: Tensor) -> Tensor:
    """Distances from a pixel's mean over the channels times up to 2."""
    grey = x.mean(1, keepdim=True)
    return grey + _each(2 * uniform[:, 0]) * (x - grey)


def contrast(x: Tensor, uniform: Tensor) -> Tensor:
    """Distances from the image's mean times 1/2 to 3/2."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + _each(uniform[:, 0] + 0.5) * (x - mean)


def translation(x: Tensor, uniform: Tensor) -> Tensor:
    """Moves by whole pixels, up to an eighth of each side; what comes in is 0."""
    most = [eighth(extent) for extent in x.shape[2:]]
    down, right = (integer(uniform[:, k], -most[k], most[k]) for k in (0, 1))
    return shifted(x, down, right)


def cutout(x: Tensor, uniform: Tensor) -> Tensor:
    """Makes a box 0, half as high and as wide as the image; its centre is anywhere in the image."""
    rows, columns = (_in_box(x.shape[2 + k], uniform[:, k]) for k in (0, 1))
    box = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(box, torch.zeros_like(x), x)


def flip(x: Tensor, uniform: Tensor) -> Tensor:
    """Swaps left and right, half the time."""
    return torch.where(_each(uniform[:, 0] < 0.5), x.flip(3), x)


def rotation(x: Tensor, uniform: Tensor) -> Tensor:
    """Turns by 0, 90, 180 or 270 degrees. Images are square."""
    quarters = _each(integer(uniform[:, 0], 0, 3))
    turned = x
    for quarter in (1, 2, 3):
        turned = torch.where(quarters == quarter, x.rot90(quarter, (2, 3)), turned)
    return turned


TRANSFORMS: dict[Kind, tuple[Transform, ...]] = {
    "color": (Transform(brightness, 1), Transform(saturation, 1), Transform(contrast, 1)),
    "translation": (Transform(translation, 2),),
    "cutout": (Transform(cutout, 2),),
    "flip": (Transform(flip, 1),),
    "rotation": (Transform(rotation, 1),),
}


def shifted(x: Tensor, down: Tensor, right: Tensor, mirror: bool = False) -> Tensor:
    """Each image moved by its own whole numbers of pixels (B each, less than the sides).

    What comes in at an edge is 0, or what a mirror at the outermost pixels would show.
    """
    return _moved(_moved(x, 2, down, mirror), 3, right, mirror)


def _moved(x: Tensor, dim: int, by: Tensor, mirror: bool) -> Tensor:
    extent, last = x.shape[dim], x.shape[dim] - 1
    shape = (-1, 1, extent, 1) if dim == 2 else (-1, 1, 1, extent)
    source = (torch.arange(extent, device=x.device) - by[:, None]).view(shape)
    if mirror:
        return x.take_along_dim(last - (last - source.abs()).abs(), dim)
    inside = (source >= 0) & (source <= last)
    return torch.where(inside, x.take_along_dim(source.clamp(0, last), dim), torch.zeros_like(x))


def _in_box(extent: int, uniform: Tensor) -> Tensor:
    """Which rows (or columns) of an image lie in its box: B x extent."""
    size = (extent + 1) // 2
    first = integer(uniform, 0, extent - size % 2) - size // 2
    place = torch.arange(extent, device=uniform.device) - first[:, None]
    return (place >= 0) & (place < size)


def integer(uniform: Tensor, least: int, most: int) -> Tensor:
    """Integers from least to most, each as likely, from numbers in [0, 1)."""
    return (uniform * (most - least + 1)).long() + least


def eighth(extent: int) -> int:
    """An eighth of a side in whole pixels, halves up."""
    return (extent + 4) // 8


def _each(numbers: Tensor) -> Tensor:
    """B to B x 1 x 1 x 1."""
    return numbers.reshape(-1, 1, 1, 1)
