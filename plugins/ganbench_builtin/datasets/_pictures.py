"""One image file, or one label map, as an array of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganbench import BadInput, Problem
from ganbench_builtin.datasets._folders import Item


@dataclass(frozen=True)
class Pixels:
    """Reads an image: its central square, scaled to size x size.

    Bicubically and antialiased, as Parmar et al. 2022 (arXiv:2104.11222) find that metrics need it. Grey,
    palette, CMYK and transparent images are converted, the last on white; those of more than 8 bits a channel
    are refused.

    Arguments:
        size: pixels a side.
        channels: 1 or 3.
    """

    size: int
    channels: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.channels, self.size, self.size

    def __call__(self, item: Item) -> np.ndarray:
        """(image,) -> uint8, channels x size x size. BadInput if the file cannot be used."""
        (path,) = item
        with _opened(path) as image:
            rgb = _rgb(path, image)
            square = rgb.resize((self.size, self.size), Image.Resampling.BICUBIC, _centre(rgb.size))
            pixels = np.asarray(square if self.channels == 3 else square.convert("L"))
        return pixels.reshape(self.size, self.size, self.channels).transpose(2, 0, 1)


@dataclass(frozen=True)
class LabelMap:
    """Reads a label map, whose pixels are numbers of classes: its central square, nearest neighbours.

    Arguments:
        size: pixels a side.
        classes: how many there are.
    """

    size: int
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one map."""
        return self.size, self.size

    def __call__(self, item: Item) -> np.ndarray:
        """(map, its image) -> uint8, size x size. BadInput if the map cannot be used, or does not fit."""
        path, image_path = item
        with _opened(image_path) as image:
            wanted = image.size
        with _opened(path) as image:
            wrong = self._wrong(image)
            if not wrong and image.size != wanted:
                wrong = (
                    f"the map has {_pixels(image.size)} pixels, its image {image_path.name} {_pixels(wanted)}"
                )
            if wrong:
                raise BadInput(Problem(str(path), wrong))
            square = image.resize((self.size, self.size), Image.Resampling.NEAREST, _centre(image.size))
            return np.asarray(square).astype(np.uint8)

    def _wrong(self, image: Image.Image) -> str:
        if image.mode not in ("1", "L", "P") or image.format == "JPEG":
            return f"a label map holds numbers of classes: a grey or palette PNG, {_found(image)}"
        largest = int(np.asarray(image).max())
        if largest >= self.classes:
            allowed = f"map_classes = {self.classes} allows 0 to {self.classes - 1}"
            return f"a pixel is of class {largest}, where {allowed}"
        return ""


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except BadInput:
        raise
    except UnidentifiedImageError:
        raise BadInput(Problem(str(path), "is no image, or a damaged one")) from None
    except Exception as error:  # decoders fail in whatever way a damaged file makes them fail
        raise BadInput(Problem(str(path), f"the image cannot be read ({error})")) from None


def _rgb(path: Path, image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        what = f"an image of 8 bits a channel is needed, {_found(image)}: convert it first"
        raise BadInput(Problem(str(path), what))
    if "A" in image.getbands() or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return image.convert("RGB")


def _centre(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The central square: left, upper, right, lower."""
    side = min(size)
    left, upper = (size[0] - side) / 2, (size[1] - side) / 2
    return left, upper, left + side, upper + side


def _found(image: Image.Image) -> str:
    return f"not {image.format} of mode {image.mode}"


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
