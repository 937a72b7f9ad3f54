"""What a stack was trained with: packages, commit, machine, flags."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

from ganbench._version import CORE, __version__
from ganbench.machine.gpus import Gpu
from ganbench.storage.machine_records import Environment, GpuRecord, GpuSettings

PACKAGES = ("numpy", "pandas", "pluggy", "scipy", "torch", "torch-fidelity", "torchvision", "safetensors")
INDUCTOR = ("deterministic", "shape_padding", "split_reductions", "max_autotune", "coordinate_descent_tuning")
"""Flags of torch's compiler that change which kernels it makes, and so the order of sums."""
# Threads and the workspace of cuBLAS change the order of sums, the allocator what fits into memory.
FLAGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_CUDA_ALLOC_CONF")


def environment(device: torch.device, gpu: Gpu | None = None) -> Environment:
    """What rounding and speed depend on here, for env.json.

    Arguments:
        gpu: the one of this process; None on a CPU.
    """
    training = gpu if device.type == "cuda" else None
    return {
        "ganbench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": str(device),
        "gpu": _gpu_record(training) if training else None,
        "gpu_index": training.index if training else None,
        "gpu_settings": _gpu_settings() if training else None,
        "flags": {name: os.environ[name] for name in FLAGS if name in os.environ},
        # whether a GPU may multiply in TF32, which keeps 10 bits of the mantissa
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def _gpu_settings() -> GpuSettings:
    import torch._inductor.config as inductor

    cudnn = torch.backends.cudnn
    return {
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "convolution_tf32": cudnn.allow_tf32,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
        # flags that this torch does not have are left out
        "inductor": {name: getattr(inductor, name) for name in INDUCTOR if hasattr(inductor, name)},
    }


@cache
def _commit() -> str | None:
    """The commit of this checkout; None where ganbench is installed as a package."""
    here = CORE.parent
    # git itself would search the parents, and report the commit of a project whose .venv holds ganbench
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


@cache
def _processor() -> str:
    # On Linux, platform.processor() gives "x86_64" or nothing: the model stands in /proc/cpuinfo alone.
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpu_record(gpu: Gpu) -> GpuRecord:
    major, minor = gpu.capability
    return {
        "name": gpu.name,
        "memory": gpu.memory,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "capability": f"{major}.{minor}",
        "cudnn": _cudnn(),
        "triton": _version("triton"),
    }


@cache
def _driver() -> str | None:
    """The version of NVIDIA's driver, which torch does not know; None where it cannot be asked."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(
            query, capture_output=True, text=True, timeout=10, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return lines[0].strip() if lines else None  # a line a GPU, and one driver for all of them


def _cudnn() -> int | None:
    """The version of cuDNN, such as 92400; None where it is not there."""
    try:
        return torch.backends.cudnn.version()
    except RuntimeError:  # it is there, but does not load: no reason to lose a run without convolutions
        return None


def _version(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
