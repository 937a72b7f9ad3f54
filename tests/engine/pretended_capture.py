"""CUDA graphs on the pretended GPU: a capture records operations, and a replay does them again.

As in a real one, nothing is looked up anew: a replay reads and writes the tensors of the capture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pretended_gpu
import torch
from pretended_gpu import OnGpu
from torch.utils._pytree import tree_leaves


class Stream:
    """A stream with nothing to wait for."""

    def __init__(self, device: Any = None) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        """Nothing runs late here."""


class Graph:
    """The operations of a capture. `stream`: of the capture."""

    captured: list[Graph] = []

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.stream: Stream | None = None

    def record(self, *operation: Any) -> None:
        """One operation, with what it gave."""
        self.operations.append(operation)

    def replay(self) -> None:
        """All operations again; what they give goes where it went before."""
        with torch.no_grad():
            for func, args, kwargs, out in self.operations:
                again = pretended_gpu._result(func, args, kwargs)
                for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                    if isinstance(old, OnGpu) and old.held.data_ptr() != new.held.data_ptr():
                        old.held.copy_(new.held)


@contextlib.contextmanager
def _capture(graph: Graph, stream: Stream | None = None) -> Iterator[None]:
    graph.stream = stream
    pretended_gpu.recorders.append(graph.record)
    try:
        yield
    finally:
        pretended_gpu.recorders.remove(graph.record)
    Graph.captured.append(graph)


@contextlib.contextmanager
def pretended_capture() -> Iterator[list[Graph]]:
    """Inside `pretended_gpu`: CUDA graphs can be captured. Gives the list of those that were."""
    default = Stream()
    Graph.captured = []
    with (
        mock.patch.object(torch.cuda, "Stream", Stream),
        mock.patch.object(torch.cuda, "current_stream", return_value=default),
        mock.patch.object(torch.cuda, "stream", contextlib.nullcontext),
        mock.patch.object(torch.cuda, "device", contextlib.nullcontext),
        mock.patch.object(torch.cuda, "CUDAGraph", Graph),
        mock.patch.object(torch.cuda, "graph", _capture),
    ):
        yield Graph.captured
