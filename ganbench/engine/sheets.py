"""Sample sheets: what one run draws from the same latents at a step, as a small picture."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from torch import Tensor

from ganbench.components.data import Data

SHEETS = 8
"""Sheets of a run at most."""
IMAGES = 16
"""Samples on a sheet of images."""
COLUMNS = 4
"""Images in a row."""
POINTS = 1000
"""Samples on a sheet of points."""
_SIDE = 160  # pixels of a sheet of points
_MARGIN = 0.15  # around the data, as a share of their extent
_DATA, _SAMPLES = 205, 30  # grey levels


def sheet_steps(steps: int, every: int) -> list[int]:
    """The evaluations at which samples are drawn: the first, the last, and others spaced evenly between."""
    evaluated = sorted({*range(0, steps + 1, every), steps})
    # Evenly spaced over evaluations, both ends included.
    places = np.linspace(0, len(evaluated) - 1, min(SHEETS, len(evaluated)))
    return [evaluated[round(place)] for place in places]


def wanted(data: Data) -> int:
    """How many samples a sheet of such data shows; 0 where no sheet can be drawn of them."""
    shape = data.spec.shape
    if len(shape) == 3 and shape[0] in (1, 3):
        return IMAGES
    return POINTS if shape == (2,) else 0


def with_pairs(samples: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    """The samples, and below them rows of held-out images, each above the row of what was made of it."""
    shown = len(samples) // 2 // COLUMNS * COLUMNS
    rows = (part[:shown].unflatten(0, (-1, COLUMNS)) for part in (inputs, outputs))
    return torch.cat([samples, torch.stack(list(rows), dim=1).flatten(0, 2)])


def sheet(samples: Tensor, data: Data) -> bytes:
    """A PNG of samples: images in rows of four, or points over a thousand of the data's.

    In images nan and -inf are black and inf is white; points that are not finite are left out.
    """
    # Imported with the first sheet, which keeps the start of workers short.
    from PIL import Image

    pixels = _points(samples, data) if samples.dim() == 2 else _grid(samples)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _grid(images: Tensor) -> np.ndarray:
    """Images in rows, with lines of one pixel between: H x W or H x W x 3, uint8.

    As `torchvision.utils.make_grid` without its frame; importing that takes each worker seconds.
    """
    # Images are in -1 to 1. NaN and -inf become black, inf white.
    scaled = ((images.detach().cpu().float() + 1) * 127.5).nan_to_num(0, 255, 0).round().clamp(0, 255)
    n, channels, height, width = scaled.shape
    count = math.ceil(n / COLUMNS)
    # 127 is the grey of the lines and of the empty places in the last row.
    sheet = torch.full((count * COLUMNS, channels, height + 1, width + 1), 127.0)
    sheet[:n, :, :height, :width] = scaled
    rows = sheet.view(count, COLUMNS, channels, height + 1, width + 1).permute(0, 3, 1, 4, 2)
    whole = rows.reshape(count * (height + 1), COLUMNS * (width + 1), channels)[:-1, :-1]
    return whole.squeeze(-1).byte().numpy()


def _points(samples: Tensor, data: Data) -> np.ndarray:
    """Dots on white, in the frame of the data; those outside stand at its edge."""
    real = data.test[:POINTS].detach().cpu().float()
    low, high = real.min(0).values, real.max(0).values
    # An axis on which all data are equal has no extent to divide by.
    room = (high - low).clamp(min=1e-12) * _MARGIN
    low, high = low - room, high + room
    pixels = np.full((_SIDE, _SIDE), 255, dtype=np.uint8)
    for points, grey in ((real, _DATA), (samples.detach().cpu().float(), _SAMPLES)):
        place = (points - low) / (high - low) * (_SIDE - 1)
        at = place[place.isfinite().all(1)].clamp(0, _SIDE - 1).round().long().numpy()
        # Rows of an image count downwards, the second coordinate upwards.
        pixels[_SIDE - 1 - at[:, 1], at[:, 0]] = grey
    return pixels
