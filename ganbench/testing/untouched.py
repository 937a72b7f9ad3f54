"""What must not change while a component is at work: tensors that it was given, and global generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ganbench.testing.findings import Unmet

_GENERATORS: dict[str, Callable[[], object]] = {
    # lists, since == of tensors and of arrays gives no single bool
    "torch": lambda: torch.get_rng_state().tolist(),
    "numpy": lambda: [x.tolist() if isinstance(x, np.ndarray) else x for x in np.random.get_state()],  # noqa: NPY002
    "Python": random.getstate,
}
"""Whose global generator -> its state, comparable."""


@contextmanager
def generators_untouched() -> Iterator[None]:
    """Unmet where a global generator was drawn from, or seeded."""
    before = {whose: state() for whose, state in _GENERATORS.items()}
    yield
    touched = [whose for whose, state in _GENERATORS.items() if state() != before[whose]]
    if touched:
        raise Unmet(f"{touched[0]}'s global generator was used")


@contextmanager
def tensors_untouched(what: str, given: Mapping[str, object]) -> Iterator[None]:
    """Unmet where a tensor, or an array, of `given` was changed in place."""
    # cloned: a reference would change together with the original
    before = {name: _copied(value) for name, value in given.items()}
    yield
    for name, value in given.items():
        if not same(before[name], value):
            raise Unmet(f"{what} {name!r} was changed in place")
    if added := sorted(given.keys() - before.keys()):
        raise Unmet(f"{what} {added[0]!r} was added in place")


@contextmanager
def offline() -> Iterator[None]:
    """No other machine is found, as without a network."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("the network is not used in this check")

    # name resolution comes before every connection by name, whatever the library
    with mock.patch("socket.getaddrinfo", refuse):
        yield


def same(one: object, other: object) -> bool:
    """Bit for bit, nan equal to nan, whatever tensors are nested in."""
    leaves, others = pytree.tree_leaves(one), pytree.tree_leaves(other)
    # map stops at the shorter list, so lengths are compared first
    return len(leaves) == len(others) and all(map(_equal, leaves, others))


def furthest(one: object, other: object) -> float:
    """The largest difference between the tensors of two nests; 0 where there are none."""
    pairs = zip(pytree.tree_leaves(one), pytree.tree_leaves(other), strict=True)
    return max(((a - b).abs().max().item() for a, b in pairs if a.numel()), default=0.0)


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        # zero tolerances compare exactly; unlike torch.equal, allclose can take nan for equal to nan
        exact = {"rtol": 0, "atol": 0, "equal_nan": one.is_floating_point()}
        return one.shape == other.shape and one.dtype == other.dtype and torch.allclose(one, other, **exact)  # type: ignore[arg-type]
    # x != x holds for nan alone
    return bool(one == other) or (one != one and other != other)
