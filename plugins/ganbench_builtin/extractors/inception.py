"""Features and classes of Inception v3, for the FID and the inception score of the literature."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import BadInput, Data, Extractor, Problem, isolated_rng
from ganbench_builtin.datasets._files import download

_FILE = "weights-inception-2015-12-05-6726825d.pth"
_SHA256_START = "6726825d"  # torch.hub's way to name a file by its contents
_CHUNK = 64


class TrainedInception:
    """What `Inception.prepare` gives: call it for features; `classify`, `probabilities`."""

    def __init__(self, net: Any) -> None:
        self._net = net

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Tensor:
        """n x C x H x W (float in [-1, 1], or uint8) -> n x 2048, float32, on the samples' device."""
        net = self._net.to(samples.device)
        return torch.cat([net(_as_rgb(chunk))[0] for chunk in torch.split(samples, _CHUNK)])

    def probabilities(self, samples: Tensor) -> Tensor:
        """n x C x H x W -> n x 1008, float64: of torch-fidelity's "logits_unbiased", without the bias.

        The published score leaves it out, too.
        """
        return (self(samples) @ self._net.fc.weight.detach().T).double().softmax(1)

    def classify(self, samples: Tensor) -> Tensor:
        """n x C x H x W -> n labels, int64."""
        return self.probabilities(samples).argmax(1)


@dataclass(frozen=True)
class Inception(Extractor):
    """The 2,048 features of Inception v3 (Szegedy et al. 2015, arXiv:1512.00567), by torch-fidelity.

    The weights are TensorFlow's of 2015-12-05. Images have 1 or 3 channels; grey is repeated. Samples are
    rounded to the 256 levels of an image file, as in published numbers. 1.6 images/s on 2 CPU cores. It also
    recognises 1,008 classes, those of ImageNet and eight unused ones, for the inception score.

    Arguments:
        weights: path of the weights; empty to download them (95 MB) once into the cache.
    """

    name = "inception"
    places = ("weights",)
    weights: str = ""

    def prepare(self, data: Data, cache: Path) -> TrainedInception:
        """Reads the weights. BadInput where they cannot be had or do not fit."""
        if len(data.spec.shape) != 3 or data.spec.shape[0] not in (1, 3):
            raise BadInput(Problem("inception", "it sees images of 1 or 3 channels only; choose identity"))
        path = Path(self.weights).expanduser() if self.weights else _downloaded(cache / _FILE)
        return TrainedInception(_network(_read(path), path))

    def digest(self, data: Data) -> str:
        """A hash of the weights (the data do not matter)."""
        start = _SHA256_START
        if self.weights:
            try:
                content = Path(self.weights).expanduser().read_bytes()
            except OSError as error:
                raise _unusable(Path(self.weights), error.strerror or str(error)) from None
            start = hashlib.sha256(content).hexdigest()[: len(_SHA256_START)]
        return f"inception-v3-compat-2048-{start}"


def _as_rgb(samples: Tensor) -> Tensor:
    """The images as uint8 with three channels."""
    if samples.dtype != torch.uint8:
        samples = ((samples + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return samples.expand(-1, 3, -1, -1)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    except Exception:  # what torch raises on a damaged file is not documented, and its words help nobody
        raise _unusable(path, "it is not a file of weights, or a damaged one") from None


def _downloaded(path: Path) -> Path:
    """`path`, after downloading the official weights to it if they are not there."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    try:
        if not path.is_file():
            download([URL_INCEPTION_V3], path, "sha256", _SHA256_START)
    except OSError as error:
        reason = (
            f"the weights are not there and cannot be downloaded ({error}): place {path.name} in "
            f"{path.parent}, or give the path of a copy by the option weights"
        )
        raise BadInput(Problem("inception", reason)) from None
    return path


def _network(state: Any, path: Path) -> Any:
    """torch-fidelity's network. It reads weights with a pickle that may run code: hand it a clean copy."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    clean = io.BytesIO()
    torch.save(state, clean)
    clean.seek(0)
    try:
        with isolated_rng(0, "inception"), torch.device("cpu"):
            return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], clean)
    except (RuntimeError, TypeError, AttributeError):
        raise _unusable(path, "these are not torch-fidelity's weights of Inception v3") from None


def _unusable(path: Path, reason: str) -> BadInput:
    what = f"{path} cannot be used: {reason}; give the path of {_FILE} by the option weights"
    return BadInput(Problem("inception", what))
