"""Which errors say that memory ran out, however they are wrapped."""

from __future__ import annotations

import pytest
import torch
import torch._inductor.compile_fx  # before its functions are replaced
import torch._inductor.config

from ganbench.engine.trainers import is_out_of_memory
from ganbench.executors import Compiled


def raised(error, cause=None, context=None):
    error.__cause__, error.__context__ = cause, context
    return error


OUT = torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "error",
    [
        OUT,
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        raised(RuntimeError("backend compiler failed"), cause=OUT),
        raised(ValueError("while handling"), context=OUT),
        raised(RuntimeError("outer"), cause=raised(RuntimeError("inner"), context=OUT)),
    ],
    ids=repr,
)
def test_memory_ran_out(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("place", ["compile_fx.post_grad_passes", "graph.GraphLowering.codegen"])
def test_inside_a_compiler(monkeypatch, place):
    """It may wrap the error, and name no cause."""

    def run_out(*args, **how):
        raise OUT

    monkeypatch.setattr(f"torch._inductor.{place}", run_out)
    x, y = torch.ones(3), torch.full((3,), 2.0)
    # from a cache nothing would be compiled
    with (
        torch._inductor.config.patch(force_disable_caches=True),
        pytest.raises(Exception, match="CUDA") as caught,
    ):
        Compiled().prepare(lambda x, y: x.copy_(x.sin() * y), (x,), (y,))
    assert is_out_of_memory(caught.value)


def test_other_errors_are_not_of_memory():
    loop = RuntimeError("a")
    raised(loop, context=raised(RuntimeError("b"), cause=loop))
    assert not is_out_of_memory(loop)
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))
