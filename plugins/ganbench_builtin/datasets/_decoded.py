"""Images decoded once: kept as one array in the cache folder, which need not fit in memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganbench import BadInput, Problem, cache_folder, write_atomic
from ganbench_builtin.datasets._folders import Item

_VERSION = 1
"""Of what a decoder makes of a file: count up when that changes."""
_BLOCK = 256  # items decoded before they are written


class Decoder(Protocol):
    """Makes an array of the files of an item. Its repr names everything that the result depends on."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one item."""

    def __call__(self, item: Item) -> np.ndarray:
        """uint8, of that shape."""


def decoded(items: Sequence[Item], decode: Decoder) -> Tensor:
    """N x shape, uint8, read from disk as it is used; writing to it changes nothing there.

    The cache is keyed by the files' paths, sizes and times, and by the decoder. BadInput if a file cannot be
    used, or the cache cannot be written.
    """
    path = cache_folder() / "images" / f"{_fingerprint(items, decode)}.npy"
    shape = (len(items), *decode.shape)
    table = _kept(path, shape)
    if table is None:
        _keep(path, items, decode)
        table = _kept(path, shape)
        if table is None:
            raise BadInput(Problem(str(path), "cannot be read back; name another cache by GANBENCH_CACHE"))
    return torch.from_numpy(table)


def _fingerprint(items: Sequence[Item], decode: Decoder) -> str:
    hasher = hashlib.sha256(f"{_VERSION}/{decode!r}".encode())
    for path in (path for item in items for path in item):
        try:
            stat = path.stat()
        except OSError as error:
            raise BadInput(Problem(str(path), f"the image cannot be read ({error.strerror})")) from None
        # The time of change as well: unpacking another archive in the same place may keep size and mtime.
        identity = f"\n{path.absolute()}/{stat.st_size}/{stat.st_mtime_ns}/{stat.st_ctime_ns}"
        hasher.update(identity.encode(errors="surrogateescape"))
    return hasher.hexdigest()[:32]


def _kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The array in the file, mapped into memory (copy on write); None if it is not there or not the one."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        table: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
        if table.shape == shape and table.dtype == np.uint8:
            return table
    return None


def _keep(path: Path, items: Sequence[Item], decode: Decoder) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda temporary: _write(temporary, items, decode))
    except OSError as error:
        what = f"decoded images cannot be kept there ({error.strerror}): name another cache by GANBENCH_CACHE"
        raise BadInput(Problem(str(path.parent), what)) from None


def _write(path: Path, items: Sequence[Item], decode: Decoder) -> None:
    # Not a writable memory map: on a full disk that would end the process, where a write raises.
    shape = (len(items), *decode.shape)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as stream, ThreadPoolExecutor() as pool:  # decoders run outside Python's lock
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(items), _BLOCK):
            for array in pool.map(decode, items[start : start + _BLOCK]):
                stream.write(array.tobytes())
