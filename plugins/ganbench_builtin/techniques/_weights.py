"""Weights of linear and convolutional layers as matrices."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

LAYERS = nn.Linear | _ConvNd
"""What has a weight matrix."""


def layers(net: nn.Module) -> Iterator[nn.Linear | _ConvNd]:
    """All linear and convolutional layers of a network."""
    return (module for module in net.modules() if isinstance(module, LAYERS))


def matrix(layer: nn.Module, weight: Tensor) -> Tensor:
    """A layer's weight as outputs x everything else."""
    return _outputs_first(layer, weight).flatten(1)


def unmatrix(layer: nn.Module, matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The weight, of that shape, of which `matrix` is the matrix."""
    if isinstance(layer, _ConvTransposeNd):
        inputs, outputs, *kernel = shape
        return matrix.view(outputs, inputs, *kernel).transpose(0, 1)
    return matrix.view(shape)


def _outputs_first(layer: nn.Module, weight: Tensor) -> Tensor:
    return weight.transpose(0, 1) if isinstance(layer, _ConvTransposeNd) else weight
