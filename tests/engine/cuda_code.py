"""A step on CUDA as far as it can be seen without: its operations, and the code that Inductor writes for it.

Both are made of fake tensors, which have shapes and a device but no numbers. Use it in a process of its own:
it changes what torch knows of devices (`pretended_gpu.install_driver`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from pretended_gpu import Operations, install_driver
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from ganbench.components.data import Data
from ganbench.engine.program import Program, Values
from ganbench.engine.trainers import Mapped, Runs
from ganbench.executors import Compiled

H200 = SimpleNamespace(
    name="NVIDIA H200",
    major=9,
    minor=0,
    total_memory=141 * 10**9,
    multi_processor_count=132,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    warp_size=32,
    shared_memory_per_block=49152,
    shared_memory_per_block_optin=232448,
    shared_memory_per_multiprocessor=233472,
    L2_cache_size=50 * 2**20,
    gcnArchName="",
    is_integrated=0,
)
"""What Inductor reads of a card's properties."""
VECTOR = 64
"""float64 tensors of more elements than this are no longer a few numbers of a clock or an option."""


class _Seen(Exception):
    """There is nothing more to do: what was looked for has been seen."""


def operations(program: Program, data: Data, values: tuple[Values, ...] = ({}, {})) -> fx.GraphModule:
    """The whole in-place step of a stack, one run a mapping of swept values, as a graph of operations."""
    graphs: list[fx.GraphModule] = []

    def keep(step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]) -> None:
        graphs.append(traced(step, (*written, *read)))

    _prepare(program, data, values, SimpleNamespace(prepare=keep))
    return graphs[0]


def traced(step: Callable[..., Any], state: tuple[Tensor, ...]) -> fx.GraphModule:
    """The operations of a step on CUDA tensors like those."""
    return _on_fakes(lambda step, state: make_fx(step, tracing_mode="fake")(*state))(step, state)


def code(program: Program, data: Data, values: tuple[Values, ...] = ({}, {})) -> str:
    """What the executor `compiled` makes of that step for an H200."""
    from torch._inductor.graph import GraphLowering

    sources: list[str] = []

    def keep(source: str) -> None:
        sources.append(source)
        raise _Seen  # the next thing would be to compile the kernels

    with _an_h200(), mock.patch.object(GraphLowering, "save_output_code", keep):
        try:
            _prepare(program, data, values, SimpleNamespace(prepare=_on_fakes(Compiled().prepare)))
        except Exception:  # Inductor wraps what it meets
            if not sources:
                raise
    return sources[0]


def faults_of_operations(graph: fx.GraphModule) -> list[str]:
    """What of a graph is not on the GPU, or slow there; empty where nothing is. A wait is never traced."""
    return sorted({fault for node in graph.graph.nodes for fault in _faults_of_node(graph, node)})


def faults_of_code(source: str) -> list[str]:
    """What of Inductor's code runs on the CPU, copies between devices or waits; empty where nothing does."""
    call = source[source.index("def call(self, args)") :]
    signs = {
        "a kernel on the CPU": r"cpp_fused\w*\(",
        "a buffer on the CPU": r"empty_strided_cpu\w*\(",
        # calls only: names of kernels and comments tell of operations that were fused
        "a copy between devices": r"\.copy_\(|\._to_copy\.\w+\(|\.device_put\.\w+\(|\.to\(|\.cpu\(\)",
        "a wait": r"\.item\(\)|\._local_scalar_dense\.\w+\(|synchronize\(",
    }
    assert "triton_" in call, "no kernel was generated for the GPU"
    return [f"{what}: {found.group()}" for what, sign in signs.items() if (found := re.search(sign, call))]


def _faults_of_node(graph: fx.GraphModule, node: fx.Node) -> Iterator[str]:
    if node.op == "get_attr":
        constant = getattr(graph, str(node.target))
        if isinstance(constant, Tensor) and constant.dim():
            yield f"a constant of shape {tuple(constant.shape)} on {constant.device}"
    if node.op != "call_function":
        return
    name = str(node.target)
    for value in pytree.tree_leaves(node.meta.get("val")):
        if isinstance(value, Tensor) and value.device.type != "cuda" and value.dim():
            yield f"{name} makes a tensor of shape {tuple(value.shape)} on {value.device}"
        if isinstance(value, Tensor) and value.dtype == torch.float64 and value.numel() > VECTOR:
            yield f"{name} makes {value.numel()} numbers in float64"
    devices = {value.device.type for value in _tensors_of(node)}
    if "_to_copy" in name and len(devices) > 1:
        yield f"{name} copies between devices"


def _tensors_of(node: fx.Node) -> list[Tensor]:
    """What a node reads and makes, numbers (0-d tensors) apart."""
    made = [node.meta.get("val"), *(given.meta.get("val") for given in node.all_input_nodes)]
    return [value for value in pytree.tree_leaves(made) if isinstance(value, Tensor) and value.dim()]


def _prepare(program: Program, data: Data, values: tuple[Values, ...], executor: Any) -> None:
    """Have the executor prepare a stack's step."""
    runs = Runs(tuple(range(len(values))), values)
    Mapped(program, runs, data, torch.device("cpu"), executor).load_chunk()


def _on_fakes(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """`prepare`, given fake CUDA tensors in place of real ones on the CPU."""

    def prepared(*given: Any) -> Any:
        install_driver()
        with FakeTensorMode(allow_non_fake_inputs=False):
            fakes = pytree.tree_map_only(Tensor, _fake, given)
        return prepare(*fakes)

    return prepared


def _fake(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")


@contextlib.contextmanager
def _an_h200() -> Iterator[None]:
    """Inside, Inductor generates code as if there were an H200."""
    import torch._inductor.config as config
    import torch._inductor.fx_passes.fuse_attention as attention
    import triton
    from torch._dynamo.device_interface import CudaInterface
    from torch._inductor.fx_passes.joint_graph import UniformValueConstantFolder

    target = triton.backends.compiler.GPUTarget("cuda", 10 * H200.major + H200.minor, H200.warp_size)
    driver = SimpleNamespace(get_current_target=lambda: target, get_current_device=lambda: 0)
    folded = UniformValueConstantFolder.run_node

    def folded_here(folder: Any, node: fx.Node) -> Any:
        """Constants are folded by computing with them, on the device."""
        with Operations():
            return folded(folder, node)

    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "get_device_properties": lambda device=None: H200,
        "get_device_capability": lambda device=None: (9, 0),
        "synchronize": lambda device=None: None,
        "get_rng_state": lambda device=None: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda state, device=None: None,
        "_exchange_device": lambda index: 0,
        "_maybe_exchange_device": lambda index: 0,
        "_lazy_init": lambda: None,
    }
    # a padded product and fused attention are chosen by trying them on the device
    without_trying = config.patch(shape_padding=False, fx_graph_cache=False)
    with (
        mock.patch.multiple(torch.cuda, **answers),
        mock.patch.object(triton.runtime.driver, "_active", driver),
        mock.patch.object(CudaInterface, "get_device_properties", return_value=H200),
        mock.patch.object(UniformValueConstantFolder, "run_node", folded_here),
        mock.patch.object(attention, "_sfdp_init", return_value=None),
        without_trying,
    ):
        yield
