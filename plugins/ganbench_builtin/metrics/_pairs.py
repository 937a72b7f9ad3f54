"""Sums over pairs of vectors, some rows at a time, and how far the vectors lie from each other. Float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Pairwise = Callable[[Tensor, Tensor], Tensor]
"""n x d, m x d -> n x m."""

_CHUNK = 256  # rows of a matrix of pairs at once: 256 x n float64
_FEW = 16  # dimensions up to which the exact distances cost no more than those by a matrix product


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean, exact where the vectors are short, else with an error of some 1e-8 of their norms."""
    few = x.shape[1] <= _FEW
    mode = "donot_use_mm_for_euclid_dist" if few else "use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=mode)


def chunks(x: Tensor) -> Iterator[Tensor]:
    """The rows of x, some at a time."""
    return iter(torch.split(x, _CHUNK))


def sum_across(pairwise: Pairwise, x: Tensor, y: Tensor) -> float:
    """Over all pairs of a row of x and a row of y."""
    return float(torch.stack([pairwise(part, y).sum() for part in chunks(x)]).sum())


def sum_within(pairwise: Pairwise, x: Tensor) -> float:
    """Over all ordered pairs of different rows of x. `pairwise` is symmetric, so half of them do."""
    sums, first = [], 0
    for part in chunks(x):
        found = pairwise(part, x[first:])
        block = found[:, : len(part)]
        sums.append(2 * found.sum() - block.sum() - block.diagonal().sum())
        first += len(part)
    return float(torch.stack(sums).sum())


def radii(x: Tensor, k: int) -> Tensor:
    """From each row to its k-th nearest other row."""
    return torch.cat([distances(part, x).topk(k + 1, largest=False).values[:, -1] for part in chunks(x)])
