"""Features and labels of stacked digits, a channel at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganbench import BadInput, Data, Extractor, Problem, stream
from ganbench_builtin.datasets._stacking import CHANNELS, are_stacks, channels, digits_of, number
from ganbench_builtin.extractors._training import FEATURES
from ganbench_builtin.extractors.classifier import Classifier, TrainedClassifier

_MOST = 60_000 // CHANNELS  # stacks: 60,000 channels are as many digits as MNIST has


class TrainedStack:
    """What `StackedClassifier.prepare` gives: call it for features; `classify`, `probabilities`."""

    def __init__(self, digit: TrainedClassifier) -> None:
        self._digit = digit

    def __call__(self, samples: Tensor) -> Tensor:
        """n x 3 x H x W (float, or uint8 images) -> n x 192 features, float32, channel after channel."""
        return self._digit(channels(samples)).reshape(len(samples), CHANNELS * FEATURES)

    def classify(self, samples: Tensor) -> Tensor:
        """n x 3 x H x W -> n labels, int64, 0 to 999: 100 a + 10 b + c."""
        return number(self._digit.classify(channels(samples)).reshape(len(samples), CHANNELS))

    def probabilities(self, samples: Tensor) -> Tensor:
        """n x 3 x H x W -> n x 1,000, float64: products of the three digits' probabilities."""
        a, b, c = self._digit.probabilities(channels(samples)).unflatten(0, (-1, CHANNELS)).unbind(1)
        return (a[:, :, None, None] * b[:, None, :, None] * c[:, None, None, :]).flatten(1)


@dataclass(frozen=True)
class StackedClassifier(Extractor):
    """A digit classifier applied to each channel of stacked digits (Metz et al. 2017, arXiv:1611.02163).

    It is the network of classifier, trained on the channels of 20,000 stacks (or of all, where there are
    fewer), and kept as that one is, with a note of its accuracy on single digits. The features are the 64 of
    each channel, one channel after another.
    """

    name = "stacked-classifier"

    def prepare(self, data: Data, cache: Path) -> TrainedStack:
        """Loads the weights from `cache`, or trains them. BadInput where data are not stacked digits."""
        return TrainedStack(Classifier().prepare(_digits(data), cache))

    def digest(self, data: Data) -> str:
        """A hash of the channels that are trained on, their labels, and the version of the training."""
        return f"stacked-{Classifier().digest(_digits(data))}"


def _digits(data: Data) -> Data:
    """Single channels with the digits that they show, on the CPU."""
    if not are_stacks(data):
        reason = "it sees stacks of three digits only, such as stacked-mnist; choose classifier"
        raise BadInput(Problem("stacked-classifier", reason))
    assert data.train_labels is not None
    assert data.test_labels is not None
    order = torch.randperm(len(data.train), generator=stream("cpu", 0, "stacked-classifier"), device="cpu")
    rows = order[:_MOST].to(data.train.device)
    return Data(
        train=channels(data.train[rows]).cpu(),
        test=channels(data.test).cpu(),
        train_labels=digits_of(data.train_labels[rows]).cpu(),
        test_labels=digits_of(data.test_labels).cpu(),
        classes=10,
    )
