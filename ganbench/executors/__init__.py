"""The core's own ways to execute a mapped step. They come through the same hook as a plugin's."""

from __future__ import annotations

from collections.abc import Sequence

from ganbench.components import Executor
from ganbench.executors.compiled import Compiled
from ganbench.executors.cuda_graph import CudaGraph, UncompiledCudaGraph
from ganbench.executors.eager import Eager
from ganbench.hookspecs import hookimpl


@hookimpl
def ganbench_executors() -> Sequence[type[Executor]]:
    """Eager, compiled, captured after compiling, captured as it is."""
    return [Eager, Compiled, CudaGraph, UncompiledCudaGraph]
