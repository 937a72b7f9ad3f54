"""Minibatch discrimination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

import ganbench
from ganbench_builtin.techniques._fits import needs_judges
from ganbench_builtin.techniques._judges import is_judging
from ganbench_builtin.techniques._last_layer import widened


class _Similarities(nn.Module):
    """How near each sample is to all of its batch, by each kernel."""

    def __init__(self, features: int, kernels: int, dims: int) -> None:
        super().__init__()
        self.shape = (kernels, dims)
        self.project = nn.Linear(features, kernels * dims, bias=False)
        nn.init.normal_(self.project.weight, std=features**-0.5)  # rows of a length of about 1

    def forward(self, x: Tensor) -> Tensor:
        """B x features to B x kernels."""
        rows = self.project(x).unflatten(1, self.shape)
        distances = (rows[:, None] - rows).abs().sum(-1)
        return torch.exp(-distances).sum(1)


@dataclass(frozen=True)
class MinibatchDiscrimination(ganbench.Technique):
    """Logits see how alike a batch's samples are (Salimans et al. 2016, arXiv:1606.03498, section 3.2).

    The last layer of the discriminator takes in its features f(x_i) and, for each kernel b, the sum over the
    batch's samples j, i itself included, of exp(-|M_ib - M_jb|_1), with M_ib = T_b f(x_i). Real and generated
    samples are batches of their own. Takes B x B x kernels x dims numbers of memory.

    Since logits depend on one another, gradient penalties take the slope of their sum.

    Arguments:
        kernels: how many, B of the paper (100 in the authors' code).
        dims: numbers in a row M_ib, C of the paper (5 in the authors' code).
    """

    name = "minibatch-discrimination"
    order = -20  # layers first, then what is done to layers
    kernels: Annotated[int, Field(gt=0)] = 100
    dims: Annotated[int, Field(gt=0)] = 5

    def network(self, name: str, net: nn.Module) -> nn.Module:
        """Widens a discriminator's last layer. BadInput where that is not linear."""
        if not is_judging(self, name):
            return net
        return widened(self, net, lambda n: (_Similarities(n, self.kernels, self.dims), self.kernels))

    def fits(self, model: ganbench.Model, loss: ganbench.Loss) -> str | None:
        """Needs a discriminator."""
        return needs_judges(self, model)
