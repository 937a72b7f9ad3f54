"""Questions about the machine: software, processor, memory, GPU."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

import psutil
import torch

from ganbench.doctor.cards import cards, query
from ganbench.doctor.findings import Facts, Gpu
from ganbench.planning.choice import cores
from ganbench.storage.environment import environment

CXX = ("c++", "g++", "clang++")
C = ("cc", "gcc", "clang")


def facts(device: str) -> Facts:
    """The facts; those of the GPU where the device is "cuda"."""
    memory = psutil.virtual_memory()
    limit = _memory_limit()
    return Facts(
        python=platform.python_version(),
        torch=torch.__version__,
        processor=environment(torch.device("cpu"))["processor"],
        cores=cores(),
        quota=_quota(),
        memory=min(memory.total, limit or memory.total),
        available=min(memory.available, limit or memory.available),
        cxx_compiler=_first(CXX),
        c_compiler=_first(C),
        triton=_triton(),
        cards=cards(),
        cuda=torch.cuda.is_available(),
        gpu=_gpu() if device == "cuda" else None,
    )


def _gpu() -> Gpu:
    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    free, total = torch.cuda.mem_get_info(device)
    record = environment(device)["gpu"]
    torch.ones(1, device=device).add_(
        1
    ).item()  # a kernel must run: listing a GPU does not show that it works
    return Gpu(
        name=properties.name,
        capability=f"{properties.major}.{properties.minor}",
        supported=_supported(properties.major, properties.minor),
        memory=total,
        free=free,
        cuda=torch.version.cuda or "",
        cudnn=torch.backends.cudnn.version(),
        driver=record["driver"] if record else None,
        compute_mode=next(iter(query("--query-gpu=compute_mode")), None),
        processes=len(set(query("--query-compute-apps=pid")) - {str(os.getpid())}),
        mps=Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")).exists(),
        tf32_matmul=torch.backends.cuda.matmul.allow_tf32,
        tf32_convolutions=torch.backends.cudnn.allow_tf32,
    )


def _supported(major: int, minor: int) -> bool:
    """Whether torch has kernels for the architecture, or code that the driver can compile for it."""
    built = [name.partition("_") for name in torch.cuda.get_arch_list()]
    numbers = [(kind, int(digits.rstrip("af"))) for kind, _, digits in built]
    here = 10 * major + minor
    # kernels serve the later minor versions too; "compute" code serves all later ones
    return any(number <= here and (kind == "compute" or number // 10 == major) for kind, number in numbers)


def _triton() -> str | None:
    try:
        return metadata.version("triton")
    except metadata.PackageNotFoundError:
        return None


def _first(names: tuple[str, ...]) -> str | None:
    """The path of the first program that is there."""
    return next(filter(None, map(shutil.which, names)), None)


def _quota() -> float | None:
    """CPU time that the container grants, in cores; None without a limit."""
    # version 2 of control groups has one file, version 1 has two
    limit, period = (*_words("/sys/fs/cgroup/cpu.max"), "", "")[:2]
    if not limit:
        limit = _word("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        period = _word("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def _memory_limit() -> int | None:
    """Bytes that the container grants; None without a limit."""
    limit = _word("/sys/fs/cgroup/memory.max") or _word("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    return int(limit) if limit.isdigit() else None


def _word(path: str) -> str:
    return next(iter(_words(path)), "")


def _words(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
