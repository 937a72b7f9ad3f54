"""The handwritten digits that ship inside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench import Data, Dataset

_TEST_EVERY = 5


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 handwritten digits, 8 x 8 (Alpaydin and Kaynak 1998, UCI; the part in scikit-learn).

    Every fifth image of each class is held out: 1,442 to train on, 355 to test. No file and no
    network is needed.

    Arguments:
        size: pixels a side. Above 8 the images are interpolated bilinearly, for models that need larger ones;
            they tell no more than the 8 x 8 pixels do.
    """

    name = "digits"
    size: Literal[8, 16, 28, 32] = 8

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 1 x size x size, their 0..16 scaled to 0..255; 10 classes. `root` is not used."""
        from sklearn.datasets import load_digits  # takes half a second, so only who needs it pays

        found = load_digits()
        images = _enlarged(torch.from_numpy(found.images * (255 / 16))[:, None], self.size)
        labels = torch.from_numpy(found.target.astype(np.int64))
        test = torch.from_numpy(_held_out(found.target))
        return Data(
            train=images[~test],
            test=images[test],
            train_labels=labels[~test],
            test_labels=labels[test],
            classes=10,
        )


def _enlarged(images: Tensor, size: int) -> Tensor:
    """N x 1 x 8 x 8, 0 to 255, to N x 1 x size x size uint8. At size 8 nothing is mixed."""
    larger = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    # 127.5 is common: the nudge rounds it up, whatever the last bit of this machine's arithmetic.
    return (larger + 1e-6).round().to(torch.uint8)


def _held_out(labels: np.ndarray) -> np.ndarray:
    """True for every fifth of each class: a stratified split without a random number."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return test
