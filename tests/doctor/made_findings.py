"""Findings as a machine would give them, for tests that ask nothing."""

from __future__ import annotations

from dataclasses import replace

from ganbench.doctor.findings import (
    Agreement,
    Facts,
    Folder,
    Gpu,
    Memory,
    Rate,
    Repetition,
    Report,
    Waits,
    Way,
)

GB = 10**9
FACTS = Facts(
    python="3.11.7",
    torch="2.14.1",
    processor="Some Processor",
    cores=4,
    quota=None,
    memory=16 * GB,
    available=8 * GB,
    cxx_compiler="/usr/bin/g++",
    c_compiler="/usr/bin/gcc",
    triton="3.8.0",
    cards=(),
    cuda=False,
    gpu=None,
)
GPU = Gpu(
    name="NVIDIA H200",
    capability="9.0",
    supported=True,
    memory=140 * GB,
    free=139 * GB,
    cuda="13.0",
    cudnn=92400,
    driver="580.1",
    compute_mode="Default",
    processes=0,
    mps=False,
    tf32_matmul=False,
    tf32_convolutions=True,
)
WAY = Way("cuda-graph", True, 3.0)


def agreement(
    difference: float = 1e-12, reason: str = "", game: str = "dcgan", way: str = "cuda-graph"
) -> Agreement:
    return Agreement(game, way, "float64", 20, difference, 1e-6, reason)


def rate(device: str, runs: int, speed: float, evaluation: float = 0.0) -> Rate:
    """Of `speed` run-steps per second."""
    seconds = runs * 64 / speed
    return Rate(device, "some way", runs, 64, 500, 1.0, seconds / 4, seconds * 3 / 4, evaluation)


def on_cpu() -> Report:
    """Of a sound machine without a GPU."""
    folders = tuple(
        Folder(name, f"/somewhere/{name}", None, 50 * GB, 3)
        for name in ("results", "cache", "compiled steps")
    )
    ways = (Way("compiled", True, 9.0), Way("loop", True, 1.0), Way("eager", True, 2.0))
    agreed = (replace(agreement(), way="compiled"),)
    return Report("cpu", FACTS, folders, ways, agreed, rates=(rate("cpu", 1, 500), rate("cpu", 32, 9000)))


def on_gpu() -> Report:
    """Of a sound machine with a GPU."""
    return replace(
        on_cpu(),
        device="cuda",
        facts=replace(FACTS, cards=(GPU.name,), cuda=True, gpu=GPU),
        ways=(WAY, Way("loop", True, 1.0)),
        agreements=(agreement(), agreement(game="mlp-gan, r1")),
        waits=Waits("cuda-graph", (1, 63), (2, 2)),
        repetitions=(Repetition("mlp-gan, r1", "cuda-graph", True),),
        memory=Memory("cuda-graph", (GB,) * 10, 256, 2 * GB, GB),
        rates=(
            *(rate("cpu", 1, 500), rate("cpu", 32, 9000)),
            *(rate("cuda", 1, 400), rate("cuda", 32, 8000), rate("cuda", 1024, 400_000)),
        ),
    )
