"""Capture the step as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganbench.components.kinds import Executor
from ganbench.executors.compiled import Compiled
from ganbench.executors.eager import Eager

if TYPE_CHECKING:
    from torch import Tensor

WARM_UP = 3
"""Calls before the capture: libraries choose algorithms and allocate workspaces in the first ones."""


@dataclass(frozen=True)
class CudaGraph(Executor):
    """One launch a step: the compiled step, captured as a CUDA graph."""

    name = "cuda-graph"

    def available(self, device: str) -> str | None:
        """None on a CUDA device; elsewhere a reason."""
        return _available(device)

    def prepare(self, step: Callable[..., None], state: tuple[Tensor, ...]) -> Callable[[], None]:
        """A function that replays the graph, which is one step."""
        return _captured(Compiled().prepare(step, state), state)


@dataclass(frozen=True)
class UncompiledCudaGraph(Executor):
    """One launch a step: the step as it is, captured as a CUDA graph. Needs no compiler."""

    name = "cuda-graph-uncompiled"

    def available(self, device: str) -> str | None:
        """None on a CUDA device; elsewhere a reason."""
        return _available(device)

    def prepare(self, step: Callable[..., None], state: tuple[Tensor, ...]) -> Callable[[], None]:
        """A function that replays the graph, which is one step."""
        return _captured(Eager().prepare(step, state), state)


def _available(device: str) -> str | None:
    return None if device.startswith("cuda") else "CUDA graphs need a CUDA device"


def _captured(run: Callable[[], None], state: tuple[Tensor, ...]) -> Callable[[], None]:
    """Warming up takes steps, so the state is put back before the capture."""
    import torch

    # Warmed up on a side stream, as torch asks for: a capture must not depend on work of the
    # default one. The state is put back into the same tensors, whose addresses the graph holds.
    kept = [tensor.clone() for tensor in state]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            _put_back(state, kept)
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    _put_back(state, kept)
    return graph.replay


def _put_back(state: tuple[Tensor, ...], kept: list[Tensor]) -> None:
    for tensor, value in zip(state, kept, strict=True):
        tensor.copy_(value)
