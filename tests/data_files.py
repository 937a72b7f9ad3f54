"""Small files for data sets to read, and what is said of bad ones."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.errors import BadInput

RNG = np.random.default_rng(0)


def refusal(load: Callable[[], object]) -> str:
    """The one sentence that bad input is told in."""
    with pytest.raises(BadInput) as caught:
        load()
    (problem,) = caught.value.problems
    assert "\n" not in str(problem)
    return str(problem)


def pixels(*shape: int, below: int = 256) -> np.ndarray:
    return RNG.integers(0, below, shape, dtype=np.uint8)


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def same(tensor: torch.Tensor | None, array: object) -> None:
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(array))


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


class Malicious:
    """Makes a folder where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@contextmanager
def generators_left_alone() -> Iterator[None]:
    """Nothing in here touches the global random generators."""

    def state() -> tuple[object, ...]:
        legacy = np.random.get_state()  # noqa: NPY002  read, to see that nobody touches it
        return torch.get_rng_state().tolist(), legacy[1].tolist(), legacy[2], random.getstate()

    before = state()
    yield
    assert state() == before
