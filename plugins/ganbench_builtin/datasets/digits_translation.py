"""Two unpaired domains made of digits, for models that translate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench import Data, Dataset
from ganbench_builtin.datasets.digits import Digits

Change = Literal["inverted", "thickened", "rotated"]


@dataclass(frozen=True)
class DigitsTranslation(Dataset):
    """Digits and other, changed digits: a file-free stand-in for CycleGAN's domains (arXiv:1703.10593).

    Two unpaired domains, as horses and zebras are to Zhu et al. 2017. Of each class every other digit goes to
    the source domain, as it is, and the rest, changed, to the target domain: no digit is in both, neither of
    the training nor of the test part.

    Arguments:
        change: of the target domain. inverted: black on white. thickened: every stroke wider by about one
            of the 8 x 8 pixels. rotated: by a quarter turn, to the left.
        size: pixels a side, interpolated above 8, as of digits.
    """

    name = "digits-translation"
    change: Change = "inverted"
    size: Literal[8, 16, 28, 32] = 28

    def load(self, root: Path | None) -> Data:
        """uint8 images, N x 1 x size x size, of 10 classes; `train` is the target. `root` is not used."""
        digits = Digits(size=self.size).load(None)
        assert digits.train_labels is not None
        assert digits.test_labels is not None
        train, test = _every_other(digits.train_labels), _every_other(digits.test_labels)
        return Data(
            train=_changed(digits.train[~train], self.change),
            test=_changed(digits.test[~test], self.change),
            train_labels=digits.train_labels[~train],
            test_labels=digits.test_labels[~test],
            classes=digits.classes,
            source=digits.train[train],
            test_source=digits.test[test],
            source_labels=digits.train_labels[train],
            test_source_labels=digits.test_labels[test],
        )


def _every_other(labels: Tensor) -> Tensor:
    """True for the first, third, … of each class."""
    earlier = F.one_hot(labels).cumsum(dim=0).gather(1, labels[:, None])[:, 0]
    return earlier % 2 == 1


def _changed(images: Tensor, change: Change) -> Tensor:
    if change == "inverted":
        return 255 - images
    if change == "rotated":
        return torch.rot90(images, dims=(2, 3))
    # Dilation: each pixel takes the brightest of a square around it, which is a stored pixel wider than one.
    extra = images.shape[-1] // 8
    before = extra // 2
    return F.max_pool2d(F.pad(images, (before, extra - before) * 2), 1 + extra, stride=1)
