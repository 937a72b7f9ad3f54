"""Orthogonal initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

import ganbench
from ganbench_builtin.techniques._weights import layers, matrix, unmatrix


@dataclass(frozen=True)
class OrthogonalInit(ganbench.Technique):
    """Weights begin as random orthogonal matrices (Saxe et al. 2014, arXiv:1312.6120).

    As in BigGAN (Brock et al. 2019, arXiv:1809.11096): in the linear and convolutional layers of all
    networks. A weight is taken as outputs x everything else: its rows, or its columns where these are fewer,
    are orthogonal and of length `gain`. All else begins as the model says.

    Arguments:
        gain: what the orthogonal matrices are multiplied with.
    """

    name = "orthogonal-init"
    gain: Annotated[float, Field(gt=0)] = 1.0

    def network(self, name: str, net: nn.Module) -> nn.Module:
        """Draws the weights anew."""
        for layer in layers(net):
            weight = layer.weight.data
            fresh = nn.init.orthogonal_(torch.empty_like(matrix(layer, weight)), self.gain)
            weight.copy_(unmatrix(layer, fresh, weight.shape))
        return net
