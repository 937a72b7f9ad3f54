"""Which errors say that memory ran out, however they are wrapped."""

from __future__ import annotations

import pytest
import torch
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


@pytest.mark.parametrize("place", ["joint_graph.joint_graph_passes", "post_grad.post_grad_passes"])
def test_in_the_passes_of_a_compiler(monkeypatch, place):
    """Some of what they raise arrives wrapped, and without a cause."""
    assert is_out_of_memory(compiling_raises(monkeypatch, f"torch._inductor.fx_passes.{place}"))


def test_while_a_compiler_generates_code(monkeypatch):
    assert is_out_of_memory(compiling_raises(monkeypatch, "torch._inductor.graph.GraphLowering.codegen"))


def compiling_raises(monkeypatch, place):
    """What `Compiled` raises where memory runs out in that function of Inductor."""
    called = []

    def run_out(*args, **how):
        called.append(place)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(place, run_out)
    # where a function was imported by its name
    monkeypatch.setattr(f"torch._inductor.compile_fx.{place.rpartition('.')[2]}", run_out, raising=False)
    x, y = torch.ones(3), torch.full((3,), 2.0)
    # not from a cache, which would skip what raises
    with (
        torch._inductor.config.patch(force_disable_caches=True),
        pytest.raises(Exception, match="memory") as caught,
    ):
        Compiled().prepare(lambda x, y: x.copy_(x.sin() * y), (x,), (y,))
    assert called
    return caught.value


def test_other_errors_are_not_of_memory():
    loop = RuntimeError("a")
    raised(loop, context=raised(RuntimeError("b"), cause=loop))
    assert not is_out_of_memory(loop)
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))
