"""Spectral normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import ganbench
from ganbench_builtin.techniques._fits import needs_judges
from ganbench_builtin.techniques._judges import is_judging
from ganbench_builtin.techniques._weights import LAYERS, matrix

EPSILON = 1e-12


class _Normalised(nn.Module):
    """A linear or convolutional layer whose weight is divided by its largest singular value."""

    left: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        rows = matrix(layer, layer.weight).shape[0]  # type: ignore[arg-type]
        self.register_buffer("left", F.normalize(torch.randn(rows), dim=0, eps=EPSILON))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's, with the normalised weight. In training it takes one power iteration first."""
        weight: Tensor = self.layer.weight  # type: ignore[assignment]
        outputs = matrix(self.layer, weight)
        with torch.no_grad():
            fixed = outputs.detach()
            right = F.normalize(fixed.mT @ self.left, dim=0, eps=EPSILON)
            if self.training:
                self.left = F.normalize(fixed @ right, dim=0, eps=EPSILON)
        sigma = torch.dot(self.left.detach(), outputs @ right)
        out: Tensor = functional_call(self.layer, {"weight": weight / sigma}, (x,))
        return out


@dataclass(frozen=True)
class SpectralNorm(ganbench.Technique):
    """Spectral normalisation of the discriminator's layers (Miyato et al. 2018, arXiv:1802.05957).

    Of every discriminator's, where there are several. One power iteration a forward pass in training, as
    published; its vectors are threaded buffers.
    """

    name = "spectral-norm"

    def network(self, name: str, net: nn.Module) -> nn.Module:
        """Normalises every linear and convolutional layer of a discriminator."""
        return _wrap(net) if is_judging(self, name) else net

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)


def _wrap(net: nn.Module) -> nn.Module:
    if isinstance(net, LAYERS):
        return _Normalised(net)
    for name, child in net.named_children():
        setattr(net, name, _wrap(child))
    return net
