"""The core's own ways to execute a mapped step. They come through the same hook as a plugin's."""

from __future__ import annotations

from collections.abc import Sequence

from ganbench.components.kinds import Executor
from ganbench.executors.compiled import Compiled
from ganbench.executors.cuda_graph import CudaGraph, UncompiledCudaGraph
from ganbench.executors.eager import Eager
from ganbench.hookspecs import hookimpl

CUDA_EXECUTORS = ("cuda-graph", "cuda-graph-uncompiled", "compiled", "eager")
"""Executors that a GPU tries, in this order: the quickest first (predicted, not measured)."""


def executors_from(name: str, device: str) -> tuple[str, ...]:
    """The executor, and those to try after it where it cannot prepare a stack."""
    after = CUDA_EXECUTORS if device == "cuda" else ()
    return (name, *after[after.index(name) + 1 if name in after else 0 :])


@hookimpl
def ganbench_executors() -> Sequence[type[Executor]]:
    """Eager, compiled, captured after compiling, captured as it is."""
    return [Eager, Compiled, CudaGraph, UncompiledCudaGraph]
