"""Where a run that is trained again must give the same bits, by records of made-up machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganbench.sharing.rounding import other_machine, why_not_exact
from ganbench.storage.stack_folder import StackFolder

ENGINE = {"mapper": "map", "executor": "cuda-graph", "device": "cuda", "size": 4, "chunk": 64, "threads": 1}
GPU = {
    "name": "NVIDIA H200",
    "memory": 1,
    "driver": "570",
    "cuda": "13.0",
    "capability": "9.0",
    "cudnn": 92400,
    "triton": "3.8.0",
}
SETTINGS = {
    "matmul_tf32": False,
    "convolution_tf32": False,
    "deterministic_algorithms": True,
    "cudnn_deterministic": True,
    "cudnn_benchmark": False,
    "inductor": {"deterministic": True, "shape_padding": True},
}
ENV = {
    "processor": "p",
    "device": "cuda",
    "gpu": GPU,
    "gpu_settings": SETTINGS,
    "packages": {"torch": "2.14"},
    "flags": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
    "float32_matmul_precision": "highest",
}
CPU = {**ENV, "device": "cpu", "gpu": None, "gpu_settings": None}
OLD_CPU = {name: value for name, value in CPU.items() if name != "gpu_settings"}
TIMED = {**SETTINGS, "inductor": {}}


def stack(root: Path, env: dict[str, Any], engine: dict[str, Any]) -> StackFolder:
    folder = StackFolder.create(root, "a", "a")
    folder.write_env(env)
    folder.write_config({"engine": engine})
    return folder


def reason(tmp_path: Path, there: dict[str, Any], here: dict[str, Any], engine: Any = ENGINE) -> str:
    return why_not_exact(stack(tmp_path / "there", there, engine), stack(tmp_path / "here", here, ENGINE))


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (ENV, ENV),
        (ENV, {**ENV, "gpu": {**GPU, "memory": 2, "index": 3}}),  # another card of the same model
        (CPU, CPU),
        (OLD_CPU, CPU),
    ],
)
def test_the_same_bits_are_demanded_of_the_same_machine(there, here, tmp_path):
    assert reason(tmp_path, there, here) == ""


@pytest.mark.parametrize(
    ("there", "here", "why"),
    [
        (
            {**ENV, "gpu": {**GPU, "name": "NVIDIA A100"}},
            ENV,
            "trained on NVIDIA A100, retrained on NVIDIA H200: rounding differs",
        ),
        (CPU, ENV, "trained on a CPU, retrained on NVIDIA H200: rounding differs"),
        (ENV, CPU, "trained on NVIDIA H200, retrained on a CPU: rounding differs"),
        (ENV, {**ENV, "gpu": {**GPU, "driver": "580"}}, "driver 570 there, 580 here"),
        (ENV, {**ENV, "gpu": {**GPU, "cudnn": 91000}}, "cudnn 92400 there, 91000 here"),
        (ENV, {**ENV, "packages": {"torch": "2.15"}}, "torch 2.14 there, 2.15 here"),
        (ENV, {**ENV, "flags": {}}, "CUBLAS_WORKSPACE_CONFIG :4096:8 there, null here"),
        (
            {**ENV, "gpu_settings": {**SETTINGS, "convolution_tf32": True}},
            ENV,
            "convolution_tf32 true there, false here",
        ),
        (
            {name: value for name, value in ENV.items() if name != "gpu_settings"},
            ENV,
            "the archive does not record how its GPU was set to round",
        ),
        (
            {**ENV, "gpu_settings": TIMED},
            {**ENV, "gpu_settings": TIMED},
            "this version of torch chooses a GPU's kernels by timing them",
        ),
        ({**ENV, "gpu": "a card"}, ENV, "trained on a CPU, retrained on NVIDIA H200: rounding differs"),
        (CPU, {**CPU, "processor": "q"}, "processor p there, q here"),
    ],
)
def test_else_it_says_why_not(there, here, why, tmp_path):
    assert reason(tmp_path, there, here) == why


def test_another_way_of_training_rounds_differently(tmp_path):
    looped = {**ENGINE, "mapper": "loop", "executor": "eager", "size": 1}
    assert reason(tmp_path, ENV, ENV, looped) == "executor loop there, cuda-graph here"
    assert reason(tmp_path, ENV, ENV, {**ENGINE, "size": 2}) == "size 2 there, 4 here"


def test_operations_without_a_deterministic_algorithm_are_named(tmp_path):
    engine = {**ENGINE, "nondeterministic": ["scatter_add_cuda_kernel"]}
    why = "no deterministic algorithm on a GPU for scatter_add_cuda_kernel"
    assert reason(tmp_path, ENV, ENV, engine) == why


def test_settings_do_not_make_another_machine():
    """They are set only while a stack trains, so that nobody knows them before."""
    assert not list(other_machine(ENV, {**ENV, "gpu_settings": None}))
    assert list(other_machine(ENV, CPU))
