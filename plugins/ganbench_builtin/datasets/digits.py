"""The handwritten digits that ship inside scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ganbench.components import Data, Dataset

_TEST_EVERY = 5


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 handwritten digits, 8 x 8 (Alpaydin and Kaynak 1998, UCI; the part in scikit-learn).

    Every fifth image of each class is held out: 1,442 to train on, 355 to test. No file and no
    network is needed.
    """

    name = "digits"

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 1 x 8 x 8, their 0..16 scaled to 0..255; 10 classes. `root` is not used."""
        from sklearn.datasets import load_digits  # takes half a second, so only who needs it pays

        found = load_digits()
        images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
        labels = found.target.astype(np.int64)
        test = _held_out(labels)
        return Data(
            train=torch.from_numpy(images[~test]),
            test=torch.from_numpy(images[test]),
            train_labels=torch.from_numpy(labels[~test]),
            test_labels=torch.from_numpy(labels[test]),
            classes=10,
        )


def _held_out(labels: np.ndarray) -> np.ndarray:
    """True for every fifth of each class: a stratified split without a random number."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return test
