"""A GPU where there is none: tensors that say "cuda:0", compute on the CPU, and keep CUDA's rules.

An operation takes tensors of one device (numbers and indices on the CPU apart), draws take a generator of
their device, numpy gets nothing. A captured graph repeats its operations on the tensors of the capture, and
neither waits nor copies from or to the CPU. It cannot show asynchrony, memory, and what CUDA's kernels do.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ganbench.machine import gpus

MEMORY = 24 * 2**30
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
INDEXED = {f"aten::{n}" for n in ("index", "index_put_", "index_put", "_unsafe_index", "_index_put_impl_")}
"""Operations that take indices on the CPU."""
_gpu_generators: dict[int, torch.Generator] = {}
"""By address: kept alive, so that no address is used twice."""


class OnGpu(torch.Tensor):
    """Says that it lies on the GPU; holds a tensor on the CPU."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGpu:
        """A tensor like `held`, but for its device."""
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=GPU
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.held})"

    def __deepcopy__(self, memo: Any) -> OnGpu:
        return OnGpu(self.held.clone())

    def tolist(self) -> Any:
        """Copied to the CPU, as CUDA's are."""
        return self.held.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refused, as it is of CUDA's."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operation(func, args, kwargs or {})


class Stream:
    """A stream with nothing to wait for."""

    def __init__(self, device: Any = None) -> None:
        self.device = device

    def wait_stream(self, other: Stream) -> None:
        """Nothing runs late here."""

    def synchronize(self) -> None:
        """Likewise."""


class Graph:
    """A CUDA graph: operations that were captured, and are repeated where their tensors lay."""

    capturing: ClassVar[Graph | None] = None
    """The graph that operations go into."""
    captured: ClassVar[list[Graph]] = []
    """Graphs whose captures have ended."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self._operations: list[tuple[Any, Any, Any, Any]] = []

    def take(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """Capture an operation, and where it has put what it made."""
        self._operations.append((func, args, kwargs, out))

    def replay(self) -> None:
        """Repeat all operations."""
        for func, args, kwargs, out in self._operations:
            again = _computed(func, args, kwargs)
            if func.is_view or func._schema.is_mutable:
                continue  # it is where it was
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, OnGpu):
                    old.held.copy_(new.held)

    @classmethod
    @contextlib.contextmanager
    def capture(cls, graph: Graph, stream: Stream | None = None) -> Iterator[None]:
        """Inside, operations on the GPU go into the graph."""
        cls.capturing, graph.stream = graph, stream
        try:
            yield
        finally:
            cls.capturing = None
        cls.captured.append(graph)


class Operations(TorchDispatchMode):
    """So that tensors are made on the GPU where that is asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operation(func, args, kwargs or {})


class _Generator(torch.Generator):
    """A generator that says where it was asked to be, and draws on the CPU."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        return super().__new__(cls, "cpu")

    def __init__(self, device: Any = "cpu") -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda":
            _gpu_generators[self._cdata] = self

    @property
    def device(self) -> torch.device:
        """As asked for."""
        return self._device


@functools.cache
def install_driver() -> None:
    """Answer what torch asks of a driver, for the rest of this process. Skips the test without g++."""
    home = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "driver.so"
        flags = ["-O0", "-shared", "-fPIC", "-std=c++20", f"-I{home}/include", f"-L{home}/lib"]
        source = Path(__file__).with_name("pretended_driver.cpp")
        try:
            command = ["g++", *flags, str(source), "-o", str(library), "-lc10", "-ltorch_cpu"]
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("the pretended GPU needs g++")
        ctypes.CDLL(str(library)).install()
    torch._C._ensureCUDADeviceGuardSet = lambda: None


@contextlib.contextmanager
def pretended_gpu() -> Iterator[None]:
    """Inside, torch has one CUDA device."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, which need not be pretended")
    install_driver()
    card = SimpleNamespace(name="pretended", total_memory=MEMORY, major=9, minor=0)
    default, Graph.captured = Stream(), []
    # modules are moved to the GPU by new parameters: a wrapper cannot be put into an old one
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with (
            mock.patch.object(torch.cuda, "is_available", return_value=True),
            mock.patch.object(torch.cuda, "_lazy_init", return_value=None),
            mock.patch.object(torch.cuda, "get_device_properties", return_value=card),
            # evaluated in one thread: a dispatch mode holds in the thread that entered it
            mock.patch("ganbench.planning.choice.cores", return_value=1),
            mock.patch.object(gpus, "_cards", return_value=(gpus.Card("pretended", MEMORY, (9, 0)),)),
            # asked in processes of their own, where nothing is pretended
            mock.patch("ganbench.doctor.first_use.first_use", return_value=None),
            mock.patch.object(torch.cuda, "empty_cache", return_value=None),
            mock.patch.object(torch.cuda, "CUDAGraph", Graph),
            mock.patch.object(torch.cuda, "graph", Graph.capture),
            mock.patch.object(torch.cuda, "Stream", Stream),
            mock.patch.object(torch.cuda, "current_stream", return_value=default),
            mock.patch.object(torch.cuda, "stream", contextlib.nullcontext),
            mock.patch.object(torch.cuda, "device", contextlib.nullcontext),
            mock.patch.object(torch.cuda, "synchronize", return_value=None),
            mock.patch.object(torch, "Generator", _Generator),
            mock.patch.object(torch.Tensor, "pin_memory", lambda self, *_: self.clone()),
            Operations(),
        ):
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def _operation(func: Any, args: Any, kwargs: Any) -> Any:
    out, graph = _computed(func, args, kwargs), Graph.capturing
    if graph is not None:
        graph.take(func, args, kwargs, out)
    return out


def _computed(func: Any, args: Any, kwargs: Any) -> Any:
    name = func._schema.name
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    on_gpu = any(isinstance(tensor, OnGpu) for tensor in tensors)
    asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    if not on_gpu and (asked is None or asked.type == "cpu"):
        return func(*args, **kwargs)
    _check_generator(name, leaves, asked or GPU)
    if Graph.capturing is not None:
        _check_capture(name, tensors, asked)
    if name in ("aten::_to_copy", "aten::to"):
        return _moved(func, args, kwargs, asked or tensors[0].device)
    if name == "aten::copy_":
        _held(args[0]).copy_(_held(args[1]))
        return args[0]
    if name == "aten::_local_scalar_dense":
        return func(_held(args[0]))
    if name == "aten::is_pinned":
        return False
    if on_gpu:
        _check_devices(name, tensors)
    plain = {key: _held(value) for key, value in kwargs.items()}
    plain |= {"device": CPU} if asked is not None else {}
    plain |= {"pin_memory": False} if plain.get("pin_memory") else {}
    held = tree_map(_held, args)
    if name == "aten::cudnn_batch_norm":
        return tree_map(
            _on_gpu, (*torch.native_batch_norm(*held, **plain), torch.empty(0, dtype=torch.uint8))
        )
    out = func(*held, **plain)
    written = _written(func._schema, args, kwargs)
    if written is not None:
        return written
    return tree_map(_on_gpu, out) if asked is None or asked.type == "cuda" else out


def _written(schema: Any, args: Any, kwargs: Any) -> Any:
    """What an in-place operation returns: its own arguments. None of another operation."""
    places = [(n, a) for n, a in enumerate(schema.arguments) if a.alias_info and a.alias_info.is_write]
    returns_them = all(r.alias_info and r.alias_info.is_write for r in schema.returns)
    if not schema.is_mutable or not schema.returns or not returns_them:
        return None
    back = [args[n] if n < len(args) else kwargs.get(a.name) for n, a in places][: len(schema.returns)]
    return back[0] if len(back) == 1 else tuple(back)


def _moved(func: Any, args: Any, kwargs: Any, target: torch.device) -> Any:
    plain = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    out = func(_held(args[0]), *args[1:], **plain, device=CPU)
    out = out.clone() if out is _held(args[0]) else out
    return _on_gpu(out) if target.type == "cuda" else out


def _check_generator(name: str, leaves: list[Any], device: torch.device) -> None:
    for leaf in leaves:
        if isinstance(leaf, torch._C.Generator):
            own = "cuda" if leaf._cdata in _gpu_generators else "cpu"
            if own != device.type:
                raise RuntimeError(
                    f"Expected a '{device.type}' device type for generator but found '{own}' ({name})"
                )


def _check_devices(name: str, tensors: list[torch.Tensor]) -> None:
    for place, tensor in enumerate(tensors):
        index = name in INDEXED and place > 0
        if not isinstance(tensor, OnGpu) and tensor.dim() > 0 and not index:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and cpu! ({name})"
            )


def _check_capture(name: str, tensors: list[torch.Tensor], asked: torch.device | None) -> None:
    waits = name == "aten::_local_scalar_dense" or (asked or GPU).type == "cpu"
    if waits or any(not isinstance(tensor, OnGpu) and tensor.dim() > 0 for tensor in tensors):
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({name})")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnGpu) else value


def _on_gpu(value: Any) -> Any:
    return OnGpu(value) if isinstance(value, torch.Tensor) and not isinstance(value, OnGpu) else value
