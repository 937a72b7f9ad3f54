"""Statistics of a minibatch as further inputs of a discriminator's last layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import ganbench
from ganbench_builtin.techniques._weights import LAYERS


class _Widened(nn.Module):
    """A linear layer of x and statistics of x."""

    def __init__(self, statistics: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.statistics, self.linear = statistics, linear

    def forward(self, x: Tensor) -> Tensor:
        """B x features to B x logits."""
        out: Tensor = self.linear(torch.cat([x, self.statistics(x)], dim=1))
        return out


def widened(
    technique: ganbench.Technique, net: nn.Module, statistics: Callable[[int], tuple[nn.Module, int]]
) -> nn.Module:
    """The discriminator whose logits also depend on statistics of what its last layer takes in.

    The weights of what it takes in already stay; those of the statistics are drawn from a normal distribution
    of the same standard deviation. BadInput where the last layer with weights is not linear.

    Arguments:
        net: the discriminator. It is changed.
        statistics: number of features -> (module from B x features to B x statistics, how many these are).
    """
    weighted = [(path, part) for path, part in net.named_modules() if isinstance(part, LAYERS)]
    path, linear = weighted[-1] if weighted else ("", net)
    if not isinstance(linear, nn.Linear):
        what = "a discriminator that ends in a linear layer, and this one does not"
        raise ganbench.BadInput(f"{technique.name} needs {what}")
    extra, count = statistics(linear.in_features)
    wide = _Widened(extra, _with_inputs(linear, count))
    if linear is net:
        return wide
    parent, _, name = path.rpartition(".")
    setattr(net.get_submodule(parent), name, wide)
    return net


def _with_inputs(linear: nn.Linear, count: int) -> nn.Linear:
    """The layer with `count` further inputs."""
    wide = nn.Linear(linear.in_features + count, linear.out_features, bias=linear.bias is not None)
    old = linear.weight.data
    wide.weight.data = torch.cat([old, old.std(correction=0) * torch.randn(len(old), count)], dim=1)
    if linear.bias is not None:
        wide.bias.data = linear.bias.data.clone()
    return wide
