"""Euclidean distances between two sets of vectors, float64, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_CHUNK = 256  # rows of a distance matrix at once: 256 x n float64
_FEW = 16  # dimensions up to which the exact distances cost no more than those by a matrix product


def distances(x: Tensor, y: Tensor) -> Tensor:
    """n x m, exact where the vectors are short, else with an error of some 1e-8 of their norms."""
    few = x.shape[1] <= _FEW
    mode = "donot_use_mm_for_euclid_dist" if few else "use_mm_for_euclid_dist"
    return torch.cdist(x, y, compute_mode=mode)


def chunks(x: Tensor) -> Iterator[Tensor]:
    """The rows of x, some at a time."""
    return iter(torch.split(x, _CHUNK))


def mean_distance(x: Tensor, y: Tensor) -> float:
    """Over all pairs of a row of x and a row of y."""
    sums = [distances(part, y).sum() for part in chunks(x)]
    return float(torch.stack(sums).sum()) / (len(x) * len(y))


def mean_distance_within(x: Tensor) -> float:
    """`mean_distance(x, x)`, each row's 0 to itself included, for half the price."""
    sums, first = [], 0
    for part in chunks(x):
        found = distances(part, x[first:])  # what lies below the diagonal is what lies above
        sums.append(2 * found.sum() - found[:, : len(part)].sum())
        first += len(part)
    return float(torch.stack(sums).sum()) / len(x) ** 2


def radii(x: Tensor, k: int) -> Tensor:
    """From each row to its k-th nearest other row."""
    return torch.cat([distances(part, x).topk(k + 1, largest=False).values[:, -1] for part in chunks(x)])
