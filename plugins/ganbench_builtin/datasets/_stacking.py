"""Three digits as the three channels of an image: what stacked MNIST and its stand-in share."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench import Data, stream

TEST_SIZE = 10_000
CHANNELS = 3
CLASSES = 1000


def stacked(name: str, digits: Data, count: int) -> Data:
    """`count` training and 10,000 test stacks, each part of its own digits. 1,000 classes.

    Digits are drawn independently and with replacement, by a stream of `name` and of the part.
    """
    assert digits.train_labels is not None
    assert digits.test_labels is not None
    train, train_labels = _part(name, "train", digits.train, digits.train_labels, count)
    test, test_labels = _part(name, "test", digits.test, digits.test_labels, TEST_SIZE)
    return Data(train, test, train_labels, test_labels, classes=CLASSES)


def number(digits: Tensor) -> Tensor:
    """n x 3 digits a, b, c -> 100 a + 10 b + c."""
    # Not a matrix product: CUDA has none of integers.
    return (digits * torch.tensor([100, 10, 1], device=digits.device)).sum(dim=1)


def channels(samples: Tensor) -> Tensor:
    """n x 3 x H x W -> 3 n x 1 x H x W."""
    return samples.flatten(0, 1)[:, None]


def digits_of(labels: Tensor) -> Tensor:
    """n labels -> 3 n digits, in the order of `channels`."""
    return torch.stack([labels // 100, labels // 10 % 10, labels % 10], dim=1).flatten()


def are_stacks(data: Data) -> bool:
    """Whether they can be stacked digits: three channels, labels of 1,000 classes."""
    labelled = data.train_labels is not None and data.test_labels is not None
    return labelled and data.spec.classes == CLASSES and data.spec.shape[:-2] == (CHANNELS,)


def _part(name: str, part: str, images: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    generator = stream("cpu", 0, name, part)
    chosen = torch.randint(len(images), (count, CHANNELS), generator=generator, device="cpu")
    return images[:, 0][chosen], number(labels[chosen])  # bytes all the way: no float copy of 300 MB
