"""Digits with label maps, for models that paint a map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from ganbench import Data, Dataset
from ganbench_builtin.datasets.digits import Digits


@dataclass(frozen=True)
class DigitsMaps(Dataset):
    """Digits with label maps, a file-free stand-in for GauGAN's scenes (Park et al. 2019, arXiv:1903.07291).

    A map holds 0 on the background, and 1 + the digit on its stroke, where the image is brighter than
    `threshold`: 11 classes. Images, labels and their split are those of digits.

    Arguments:
        size: pixels a side, interpolated above 8, as of digits.
        threshold: a level between 0 and 255; brighter pixels are stroke.
    """

    name = "digits-maps"
    size: Literal[8, 16, 28, 32] = 28
    threshold: Annotated[int, Field(ge=0, le=200)] = 127

    def load(self, root: Path | None) -> Data:
        """The data of digits, with maps N x size x size (uint8) of 11 classes. `root` is not used."""
        digits = Digits(size=self.size).load(None)
        return replace(
            digits,
            maps=self._maps(digits.train, digits.train_labels),
            test_maps=self._maps(digits.test, digits.test_labels),
            map_classes=1 + digits.classes,
        )

    def _maps(self, images: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        stroke = images[:, 0] > self.threshold
        return stroke * (1 + labels.to(images.dtype))[:, None, None]
