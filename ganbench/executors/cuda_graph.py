"""Capture the step as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganbench.components.kinds import Executor
from ganbench.executors.compiled import Compiled
from ganbench.executors.eager import Eager
from ganbench.executors.undone import undone

if TYPE_CHECKING:
    from torch import Tensor
    from torch.cuda import CUDAGraph

WARM_UP = 3
"""Calls before the capture: libraries choose algorithms and allocate workspaces in the first ones."""


@dataclass(frozen=True)
class CudaGraph(Executor):
    """One launch a step: the compiled step, captured as a CUDA graph."""

    name = "cuda-graph"

    def available(self, device: str) -> str | None:
        """None on a CUDA device that steps can be compiled for; elsewhere a reason."""
        return _available(device) or Compiled().available(device)

    def prepare(
        self, step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]
    ) -> Callable[[], None]:
        """A function that replays the graph, which is one step."""
        return _captured(Compiled().prepare(step, written, read), written)


@dataclass(frozen=True)
class UncompiledCudaGraph(Executor):
    """One launch a step: the step as it is, captured as a CUDA graph. Needs no compiler."""

    name = "cuda-graph-uncompiled"

    def available(self, device: str) -> str | None:
        """None on a CUDA device; elsewhere a reason."""
        return _available(device)

    def prepare(
        self, step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]
    ) -> Callable[[], None]:
        """A function that replays the graph, which is one step."""
        return _captured(Eager().prepare(step, written, read), written)


def _available(device: str) -> str | None:
    return None if device.startswith("cuda") else "CUDA graphs need a CUDA device"


@dataclass(frozen=True)
class _Replay:
    """Replays a graph.

    Arguments:
        step: what was captured. It holds the kernels, and the tensors whose addresses the graph has.
    """

    graph: CUDAGraph
    step: Callable[[], None]

    def __call__(self) -> None:
        self.graph.replay()


def _captured(step: Callable[[], None], written: tuple[Tensor, ...]) -> Callable[[], None]:
    """The step as a graph on the device of its tensors. What it writes is as before."""
    import torch

    device = written[0].device
    with torch.cuda.device(device), undone(written):
        # Warmed up and captured on a stream of its own: a capture must not depend on work of the default one,
        # and graphs of the same stream would share workspaces of cuBLAS, which the first to go takes along.
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
    return _Replay(graph, step)
