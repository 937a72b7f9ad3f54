"""Philox in C, compiled once a machine: what torch's generators take on a CPU, or less.

Without a C compiler, or where its library draws other numbers than the operations on tensors, there is no
library, and those operations draw.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ganbench.game.philox import tensors
from ganbench.game.philox.tensors import Distribution
from ganbench.machine.folders import cache_folder

_SOURCE = Path(__file__).with_name("philox.c")
_COMPILERS = ("cc", "gcc", "clang")
_VECTORS = {"AVX512": ["-march=x86-64-v4"], "AVX2": ["-march=x86-64-v3"]}
"""What torch says of a CPU -> instructions that it has."""
_NAMES = {torch.float32: "float32", torch.float64: "float64"}
_SECONDS = 60
"""Until a compiler is given up; it takes less than one."""


def drawn(
    distribution: Distribution, keys: Tensor, steps: range, count: int, dtype: torch.dtype
) -> Tensor | None:
    """As `ganbench.game.philox.drawn`; None where C cannot draw."""
    if keys.device.type != "cpu" or not tensors.is_plain(keys):
        return None
    library = _library()
    return None if library is None else _filled(library, distribution, keys, steps, count, dtype)


def _filled(
    library: ctypes.CDLL,
    distribution: Distribution,
    keys: Tensor,
    steps: range,
    count: int,
    dtype: torch.dtype,
) -> Tensor:
    out = torch.empty((len(steps), len(keys), count), dtype=dtype)
    fill = getattr(library, f"{distribution}_{_NAMES[dtype]}")
    fill.restype, keys = None, keys.contiguous()
    fill(
        ctypes.c_void_p(out.data_ptr()),
        ctypes.c_void_p(keys.data_ptr()),
        ctypes.c_void_p(tensors.table().ctypes.data),
        ctypes.c_int64(len(keys)),
        ctypes.c_uint64(steps.start),
        ctypes.c_int64(len(steps)),
        ctypes.c_int64(count),
    )
    return out


@cache
def _library() -> ctypes.CDLL | None:
    """The library that draws the right numbers, loaded; None where there is none."""
    vectors = _VECTORS.get(torch.backends.cpu.get_cpu_capability(), [])
    for flags in (vectors, []):
        try:
            library = ctypes.CDLL(str(_compiled(flags)))
        except (OSError, subprocess.SubprocessError):
            continue
        if _is_right(library):
            return library
    return None


def _compiled(flags: list[str]) -> Path:
    """The library's file, from the cache or made now."""
    # several kinds of machine may share the cache
    what = _SOURCE.read_bytes() + " ".join([sys.platform, platform.machine(), *flags]).encode()
    path = cache_folder() / f"philox-{hashlib.sha256(what).hexdigest()[:16]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder) / path.name
            options = ["-O3", *flags, "-shared", "-fPIC", str(_SOURCE), "-o", str(new)]
            subprocess.run([_compiler(), *options], check=True, capture_output=True, timeout=_SECONDS)
            new.replace(path)  # at once: another process may load it now
    return path


def _compiler() -> str:
    for name in _COMPILERS:
        if found := shutil.which(name):
            return found
    raise OSError("no C compiler")


def _is_right(library: ctypes.CDLL) -> bool:
    """Whether it draws what the operations on tensors do."""
    keys, steps, count = torch.tensor([[1, 2**32 - 1], [2**31, 0]]), range(2**32 - 1, 2**32 + 1), 1001
    distributions: tuple[Distribution, ...] = ("normal", "uniform")
    return all(
        torch.equal(
            _filled(library, distribution, keys, steps, count, dtype),
            tensors.drawn(distribution, keys, steps, count, dtype),
        )
        for distribution in distributions
        for dtype in _NAMES
    )
