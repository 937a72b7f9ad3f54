"""Compile the whole step."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganbench.components.kinds import Executor
from ganbench.executors.undone import undone
from ganbench.machine.gpus import gpus

if TYPE_CHECKING:
    from torch import Tensor

LEAST_CAPABILITY = (7, 0)
"""Of the GPUs that Triton compiles for."""


@dataclass(frozen=True)
class Compiled(Executor):
    """TorchInductor on the whole step (Ansel et al. 2024, doi:10.1145/3620665.3640366).

    The step is first traced to a graph of tensor operations, gradients and the map over runs included, so a
    component may use any Python that does not depend on a tensor's value.
    """

    name = "compiled"

    def available(self, device: str) -> str | None:
        """On a CPU it needs a C++ compiler; on a GPU Triton, which itself needs a C compiler."""
        if device != "cpu":
            return _why_no_triton()
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            return "there is no C++ compiler (g++ or clang++) on this machine"
        return None

    def prepare(
        self, step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]
    ) -> Callable[[], None]:
        """The compiled step. What the step writes is put back after the one that compiling takes."""
        compiled = _compiled(step, (*written, *read))
        with undone(written):
            compiled()  # what is left to compile ends in the first call, which takes a step
        return compiled


def _compiled(step: Callable[..., None], tensors: tuple[Tensor, ...]) -> Callable[[], None]:
    """Traced once, then handed to Inductor's core.

    `torch._inductor.compile` would trace the graph a second time, in search of gradients and of tensors that
    share memory: a third of its time. This graph is whole, has no gradients left to take, and its tensors
    never move, so it needs no guards on every call either.
    """
    import torch
    from torch._guards import TracingContext, detect_fake_mode, tracing
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    from ganbench.executors.instruction_set import one_instruction_set
    from ganbench.executors.one_unit import one_unit

    on_cpu = all(tensor.device.type == "cpu" for tensor in tensors)
    skinny = {torch.ops.aten.bmm.default: _skinny_product} if on_cpu else {}
    # With a ShapeEnv, because without one Inductor does not keep compiled graphs on disk. Who hands over fake
    # tensors, to see the code for a machine that is not there, brings their mode along.
    fake = detect_fake_mode(tensors) or FakeTensorMode(shape_env=ShapeEnv())
    fakes = [fake.from_tensor(tensor, static_shapes=True) for tensor in tensors]
    with torch.no_grad(), fake, tracing(TracingContext(fake)), config.patch(_options(config)):
        # functionalised, every write becomes a copy at the end of the graph
        traced = make_fx(
            torch.func.functionalize(step), decomposition_table={**select_decomp_table(), **skinny}
        )
        graph = traced(*fakes)
        graph.graph.output_node().args = ((),)  # a step returns nothing; Inductor asks for a tuple
        graph.recompile()
        with one_instruction_set() if on_cpu else contextlib.nullcontext(), one_unit():
            run = compile_fx_inner(graph, fakes)
    return lambda: run(list(tensors))


def _options(config: Any) -> dict[str, bool]:
    """Inductor's options that are not as we need them."""
    options = {"triton.cudagraphs": False}  # else TORCHINDUCTOR_CUDAGRAPHS would nest them in our own capture
    if hasattr(config.aot_inductor, "enable_line_tables"):  # since torch 2.9
        options["aot_inductor.enable_line_tables"] = False  # line numbers take g++ a quarter of its time
    return options


def _why_no_triton() -> str | None:
    """Why Triton cannot compile for the GPUs of this machine; None where it can.

    `torch.utils._triton.has_triton` asks the same, but takes a GPU to do so.
    """
    if importlib.util.find_spec("triton") is None:
        return "a step is compiled for a GPU by Triton, which is not installed"
    # as Triton looks for it
    if not (os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang")))):
        return "Triton needs a C compiler (gcc or clang), and there is none on this machine"
    capabilities = [gpu.capability for gpu in gpus()]
    if capabilities and max(capabilities) < LEAST_CAPABILITY:
        return "Triton needs a GPU of compute capability {}.{}; here it is {}.{}".format(
            *LEAST_CAPABILITY, *max(capabilities)
        )
    return None


SKINNY = 2
"""A matrix product with a dimension up to this is not worth a call of the BLAS on a CPU.

Points have 2 coordinates and discriminators 1 logit, so the first and last layers of small networks are such
products. A call of the BLAS costs more than their arithmetic, and parts kernels that would fuse around it.
"""


def _skinny_product(a: Tensor, b: Tensor) -> Tensor:
    """Batched product as sums of elementwise ones, which fuse with their neighbours, where it is skinny."""
    import torch

    from ganbench.game.compute_once import compute_once

    # a: runs x rows x inner, b: runs x inner x columns
    (rows, inner), columns = a.shape[1:], b.shape[2]
    if inner <= SKINNY:
        if b.stride(2) != 1:
            # else its rows are read number by number, and nothing is vectorised
            b = compute_once(b.clone(memory_format=torch.contiguous_format))
        terms = [a[:, :, i, None] * b[:, None, i] for i in range(inner)]
        return sum(terms[1:], terms[0])
    if columns <= SKINNY:
        return torch.stack([(a * b[:, None, :, j]).sum(2) for j in range(columns)], dim=2)
    if rows <= SKINNY:
        return torch.stack([(a[:, i, :, None] * b).sum(1) for i in range(rows)], dim=1)
    return NotImplemented
