"""How a GPU computes while a stack trains: in TF32 only where asked for, by deterministic algorithms."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

# torch before 2.14 says the second of cuBLAS without CUBLAS_WORKSPACE_CONFIG
_WARNING = re.compile(
    r"(?P<operation>\S+) does not have a deterministic implementation|.* because it uses (?P<library>CuBLAS)"
)


@contextmanager
def gpu_arithmetic(device: torch.device, tf32: bool) -> Iterator[set[str]]:
    """Inside, torch takes deterministic algorithms on a GPU. On a CPU it changes nothing.

    Yields the operations without a deterministic algorithm that were met so far: a set that grows.

    Arguments:
        tf32: whether matrix products and convolutions may round the factors of float32 to 10 bits.
    """
    if device.type == "cpu":
        yield set()
        return
    with ExitStack() as kept:
        _set(kept, tf32)
        yield kept.enter_context(_operations_warned_of())


def _set(kept: ExitStack, tf32: bool) -> None:
    """Set everything that rounding depends on; `kept` restores it."""
    import torch._inductor.config as inductor

    cudnn, deterministic = torch.backends.cudnn, torch.utils.deterministic
    values: list[tuple[object, str, bool]] = [
        (torch.backends.cuda.matmul, "allow_tf32", tf32),
        (cudnn, "allow_tf32", tf32),  # torch's own default is True
        (cudnn, "deterministic", True),
        (cudnn, "benchmark", False),  # it times algorithms, and takes the quickest
        (inductor, "deterministic", True),  # likewise with kernels; new in torch 2.10
        (deterministic, "fill_uninitialized_memory", False),  # costs a write of every tensor
    ]
    for owner, name, value in values:
        if hasattr(owner, name):
            kept.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
    kept.callback(
        torch.use_deterministic_algorithms,
        torch.are_deterministic_algorithms_enabled(),
        warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    # only a warning: a run that cannot be repeated bit for bit is still a result
    torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def _operations_warned_of() -> Iterator[set[str]]:
    """The operations that torch warns of; these warnings are not shown."""
    found: set[str] = set()
    with warnings.catch_warnings():  # restores `showwarning`, too
        show = warnings.showwarning

        def note(message: Warning | str, *arguments: Any) -> None:
            match = _WARNING.match(str(message))
            if match:
                found.add(match["operation"] or match["library"])
            else:
                show(message, *arguments)

        warnings.filterwarnings("always", _WARNING.pattern)
        warnings.showwarning = note  # type: ignore[assignment]
        yield found
