"""Which errors say that memory ran out, however they are wrapped."""

from __future__ import annotations

import pytest
import torch

from ganbench.engine.trainers import is_out_of_memory


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
        raised(RuntimeError("backend compiler failed"), cause=OUT),
        raised(ValueError("while handling"), context=OUT),
        raised(RuntimeError("outer"), cause=raised(RuntimeError("inner"), context=OUT)),
    ],
    ids=repr,
)
def test_memory_ran_out(error):
    assert is_out_of_memory(error)


def test_other_errors_are_not_of_memory():
    loop = RuntimeError("a")
    raised(loop, context=raised(RuntimeError("b"), cause=loop))
    assert not is_out_of_memory(loop)
    assert not is_out_of_memory(ValueError("DefaultCPUAllocator"))
