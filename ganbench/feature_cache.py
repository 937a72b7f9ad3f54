"""Features of real samples on disk: computed once for a data set, an extractor and a number of samples."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganbench.files import write_atomic

_VERSION = 1
"""Of which samples are taken, and in what order: count up when that changes."""


def cached(folder: Path, data: str, extractor: str, n: int, compute: Callable[[], Tensor]) -> Tensor:
    """The features, n x d, from `folder`, or else computed and kept there.

    A file that cannot be read is made anew; where none can be written, nothing is kept.

    Arguments:
        data, extractor: digests of what the features depend on.
    """
    identity = hashlib.sha256(f"{_VERSION}/{data}/{extractor}/{n}".encode()).hexdigest()
    path = folder / f"{identity[:32]}.safetensors"
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        return load_file(path)["features"]
    features = compute()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"features": features.contiguous()}
        write_atomic(path, lambda temporary: save_file(kept, temporary))
    return features
