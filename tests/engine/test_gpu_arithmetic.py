"""What torch is told of a GPU's arithmetic while a stack trains. Some of it acts on the CPU, too."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch._inductor.config as inductor

from ganbench.engine.gpu_arithmetic import gpu_arithmetic
from ganbench.storage.environment import environment

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def settings() -> dict[str, bool]:
    return {
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "convolution_tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "inductor": inductor.deterministic,
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
    }


def without_algorithm() -> None:
    """An operation for which torch has no deterministic algorithm on any device."""
    torch.zeros(5).put_(torch.tensor([0]), torch.tensor([1.0]))


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_used_only_where_asked_for(tf32):
    before = settings()
    with gpu_arithmetic(GPU, tf32):
        inside = settings()
    assert inside == {
        "matmul_tf32": tf32,
        "convolution_tf32": tf32,
        "cudnn_deterministic": True,
        "cudnn_benchmark": False,
        "deterministic_algorithms": True,
        "warn_only": True,
        "inductor": True,
        "fill": False,
    }
    assert settings() == before


def test_nothing_changes_on_a_cpu():
    before = settings()
    with gpu_arithmetic(CPU, tf32=True) as operations:
        assert settings() == before
        without_algorithm()
    assert operations == set()
    record = environment(CPU)
    assert (record["gpu"], record["gpu_settings"]) == (None, None)


def test_settings_are_restored_after_a_crash():
    before = settings()
    with pytest.raises(ZeroDivisionError), gpu_arithmetic(GPU, tf32=True):
        raise ZeroDivisionError
    assert settings() == before


def test_operations_without_a_deterministic_algorithm_are_named():
    with gpu_arithmetic(GPU, tf32=False) as operations:
        assert operations == set()
        without_algorithm()
        without_algorithm()
    assert operations == {"put_"}


def test_an_older_torch_names_cublas():
    told = "this operation is not deterministic because it uses CuBLAS and you have CUDA >= 10.2."
    with gpu_arithmetic(GPU, tf32=False) as operations:
        warnings.warn(told, stacklevel=1)
    assert operations == {"CuBLAS"}


def test_other_warnings_are_shown():
    with pytest.warns(UserWarning, match="something else"), gpu_arithmetic(GPU, tf32=False) as operations:
        warnings.warn("something else", stacklevel=1)
    assert operations == set()
