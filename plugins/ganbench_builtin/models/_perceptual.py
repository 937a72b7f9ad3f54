"""Perceptual distance by VGG19, with weights from a local file."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench import BadInput, Problem

_SHA256_START = "dcbb9e9d"  # torch.hub's way to name a file by its contents: vgg19-dcbb9e9d.pth
_BLOCKS = ((0,), (2, 5), (7, 10), (12, 14, 16, 19), (21, 23, 25, 28))
"""torchvision's numbers of the convolutions that lead to relu1_1, relu2_1, …, relu5_1."""
_POOLED = (5, 10, 19, 28)  # these follow a pooling
_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the images that VGG was trained on


class Perceptual(nn.Module):
    """Distance of VGG19's features (Johnson et al. 2016, arXiv:1603.08155), as Wang et al. 2018 weigh them.

    It has no parameters: the weights are buffers that never change (52 MB a run, in float32).

    Arguments:
        path: torchvision's weights. BadInput if they cannot be read, or are others.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        for name, tensor in _read(Path(path).expanduser()).items():
            self.register_buffer(name, tensor.clone())
        for name, values in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Weighted mean absolute differences, a scalar; B x C x H x W in [-1, 1], C 1 (repeated) or 3."""
        x, y = self._normal(x), self._normal(y)
        differences = []
        for weight, layers in zip(_WEIGHTS, _BLOCKS, strict=True):
            for layer in layers:
                x, y = self._layer(x, layer), self._layer(y, layer)
            differences.append(weight * F.l1_loss(x, y))
        return torch.stack(differences).sum()

    def _layer(self, x: Tensor, layer: int) -> Tensor:
        x = F.max_pool2d(x, 2) if layer in _POOLED else x
        return F.relu(F.conv2d(x, self.get_buffer(f"weight{layer}"), self.get_buffer(f"bias{layer}"), 1, 1))

    def _normal(self, x: Tensor) -> Tensor:
        """As VGG was trained: [0, 1], less the mean, by the deviation."""
        x = x.expand(-1, 3, -1, -1)
        return ((x + 1) / 2 - self.get_buffer("mean")) / self.get_buffer("std")


@lru_cache(maxsize=1)
def _read(path: Path) -> dict[str, Tensor]:
    """The convolutions' weights and biases up to relu5_1."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    if not hashlib.sha256(content).hexdigest().startswith(_SHA256_START):
        raise _unusable(path, "its contents are others")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = [(kind, layer) for block in _BLOCKS for layer in block for kind in ("weight", "bias")]
    return {f"{kind}{layer}": state[f"features.{layer}.{kind}"] for kind, layer in names}


def _unusable(path: Path, reason: str) -> BadInput:
    wanted = f"give the path of torchvision's vgg19-{_SHA256_START}.pth by the option perceptual_weights"
    return BadInput(Problem("gaugan", f"{path} cannot be used: {reason}; {wanted}"))
