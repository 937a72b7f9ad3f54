"""Reader of the idx format (LeCun, the MNIST page), plain or gzipped, without writing anywhere."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import torch
from torch import Tensor

from ganbench_builtin.datasets._files import damaged

_UINT8 = 0x08
_MOST_BYTES = 2**30  # no MNIST-like file is near; a wrong header should not ask for all memory


def read_idx(path: Path, dims: int) -> Tensor:
    """The uint8 tensor in the file `path`, of `dims` dimensions; BadInput, naming it, if it is damaged."""
    try:
        with cast("BinaryIO", gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
            shape = _shape(stream.read(4 + 4 * dims), dims)
            wanted = math.prod(shape)
            body = bytearray(stream.read(wanted + 1))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise damaged(path, error) from None
    if len(body) != wanted:
        found = "more" if len(body) > wanted else f"{len(body):,}"
        raise damaged(path, f"its header announces {wanted:,} bytes, but {found} follow")
    return torch.frombuffer(body, dtype=torch.uint8).reshape(shape)


def _shape(header: bytes, dims: int) -> tuple[int, ...]:
    if len(header) < 4 + 4 * dims or header[:4] != bytes((0, 0, _UINT8, dims)):
        raise ValueError(f"it does not start as an idx file of {dims}-dimensional bytes does")
    shape: tuple[int, ...] = struct.unpack(f">{dims}I", header[4:])
    if not 0 < math.prod(shape) <= _MOST_BYTES:
        raise ValueError(f"its header announces the shape {shape}")
    return shape
