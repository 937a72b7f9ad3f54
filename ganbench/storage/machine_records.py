"""What a stack's env.json holds: the software and machine of its training."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class GpuRecord(TypedDict):
    """A GPU. `memory` is in bytes; `driver`, `cuda`, `cudnn` and `triton` are versions.

    Records of an earlier version have neither `capability` (such as "9.0"), `cudnn` nor `triton`.
    """

    name: str
    memory: int
    driver: str | None
    cuda: str | None
    capability: str
    cudnn: int | None
    triton: str | None


class GpuSettings(TypedDict):
    """How torch was set to compute on a GPU. `inductor` has the flags of its compiler that matter."""

    matmul_tf32: bool
    convolution_tf32: bool
    deterministic_algorithms: bool
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    inductor: dict[str, bool]


class Environment(TypedDict):
    """A stack's env.json: the software and machine of its training.

    `packages` has versions, `flags` environment variables. `commit` is that of a checkout of ganbench,
    None where it is installed; `gpu`, `gpu_index` (its number as in `--device cuda:1`) and `gpu_settings` are
    None on a CPU. Records of an earlier version lack the last two.
    """

    ganbench: str
    commit: str | None
    python: str
    platform: str
    processor: str
    cores: int | None
    threads: int
    packages: dict[str, str]
    device: str
    gpu: GpuRecord | None
    gpu_index: NotRequired[int | None]
    gpu_settings: GpuSettings | None
    flags: dict[str, str]
    float32_matmul_precision: str
