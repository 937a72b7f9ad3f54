"""Features of a small classifier of the data themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganbench import BadInput, Data, Extractor, Problem
from ganbench_builtin.extractors._cache import load_or_train
from ganbench_builtin.extractors._training import build, in_chunks, train

_VERSION = 2  # of the network and its training: count up when either changes


class TrainedClassifier:
    """What `Classifier.prepare` gives: call it for features; `classify`, `probabilities`."""

    def __init__(self, net: nn.Sequential) -> None:
        self._net = net.requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Tensor:
        """n x shape (float, or uint8 images) -> n x 64 features, float32, on the samples' device."""
        return in_chunks(self._net.to(samples.device)[0], samples)

    @torch.no_grad()
    def classify(self, samples: Tensor) -> Tensor:
        """n x shape -> n labels, int64."""
        return in_chunks(self._net.to(samples.device), samples).argmax(1)

    @torch.no_grad()
    def probabilities(self, samples: Tensor) -> Tensor:
        """n x shape -> n x classes, float64."""
        return in_chunks(self._net.to(samples.device), samples).double().softmax(1)


@dataclass(frozen=True)
class Classifier(Extractor):
    """64 features of a small classifier of the data, trained once (Binkowski et al. 2018, 1801.01401).

    The penultimate activations of two convolutions and a hidden layer, or of two hidden layers for images of
    less than 16 pixels a side: a domain's own features in place of Inception's. The seed is fixed; weights
    are kept under a hash of the data, with a note of the accuracy on the test part.
    """

    name = "classifier"

    def prepare(self, data: Data, cache: Path) -> TrainedClassifier:
        """Loads the weights from `cache`, or trains them. BadInput on data without labels."""
        digest = self.digest(data)
        net = build(data.spec)
        load_or_train(net, cache / f"classifier-{digest}.safetensors", lambda: _note(net, data))
        return TrainedClassifier(net)

    def digest(self, data: Data) -> str:
        """A hash of the training part, its labels, and the version of this training."""
        if data.train_labels is None or data.classes < 2:
            reason = "it is trained on labels, which these data lack; choose identity or inception"
            raise BadInput(Problem("classifier", reason))
        whole = hashlib.sha256(f"{_VERSION}/{data.classes}".encode())
        for tensor in (data.train, data.train_labels):
            whole.update(f"/{tensor.dtype}/{tuple(tensor.shape)}/".encode())
            whole.update(tensor.detach().cpu().contiguous().numpy().data)
        return whole.hexdigest()[:16]


def _note(net: nn.Sequential, data: Data) -> dict[str, Any]:
    """Trains `net`; what is worth knowing of it later."""
    accuracy = train(net, data)
    return {"version": _VERSION, "train": len(data.train), "test": len(data.test), "accuracy": accuracy}
