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
from ganbench.storage.records import Environment, GpuRecord

PACKAGES = ("numpy", "pandas", "pluggy", "scipy", "torch", "torch-fidelity", "torchvision", "safetensors")
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
        "flags": {name: os.environ[name] for name in FLAGS if name in os.environ},
        # whether a GPU may multiply in TF32, which keeps 10 bits of the mantissa
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
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
    return {"name": gpu.name, "memory": gpu.memory, "driver": _driver(), "cuda": torch.version.cuda}


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
