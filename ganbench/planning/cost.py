"""What a run costs, predicted from one of its steps, and which way of training a stack is quickest.

A step is run once, counting operations, arithmetic and bytes: the prediction depends on the program alone,
never on a clock, so that the same suite is planned the same way every time. The rates were fitted to
measurements on one core of a 2025 server CPU (`results/speed`); elsewhere the times are off by the ratio of
the machines, the choice hardly ever.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganbench.components.data import Data
from ganbench.engine.data import resident_bytes
from ganbench.engine.memory import CHUNKS, STATES, chunk_bytes
from ganbench.engine.program import Program, Values
from ganbench.engine.tables import batch_of, training_tables
from ganbench.engine.tables import sizes as row_counts
from ganbench.game import Batch
from ganbench.game.probes import rows
from ganbench.game.step import Guard, State

OPERATION = 4.2e-6
"""Seconds of an eager operation, the Python around it included."""
ARITHMETIC = 1.05e-11
"""Seconds of a floating-point operation in a matrix product."""
CONVOLVED = 0.9e-11
"""Likewise in a convolution."""
TOUCHED = 6e-11
"""Seconds of a byte that an eager operation writes."""
MAPPED_CALL = 5e-5
"""Seconds of a call of a compiled step, whatever it does."""
MAPPED_TOUCHED = 3e-11
"""Seconds, in a compiled step, of a byte that eager operations would write."""
COMPILED_OPERATION = 0.05
"""Seconds that compiling takes for each operation, nothing cached."""
CACHE = 26e6
"""Bytes that a mapped step may write without falling out of the cache of one core."""


@dataclass(frozen=True)
class Cost:
    """Counts of one step of one run.

    Arguments:
        operations: tensor operations, views left out.
        flops: floating-point operations of matrix products and convolutions.
        written: bytes that operations write.
        state: bytes of parameters, memory and buffers.
        convolutional: whether there are convolutions.
        chunk: bytes that a run reads in a chunk of steps.
        tables: bytes of data on the device, which all runs of a stack share.
    """

    operations: int
    flops: int
    written: int
    state: int
    convolutional: bool
    chunk: int = 0
    tables: int = 0

    def looped(self, steps: int) -> float:
        """Seconds of one run, eagerly on one core."""
        rate = CONVOLVED if self.convolutional else ARITHMETIC
        return steps * (self.operations * OPERATION + self.flops * rate + self.written * TOUCHED)

    def mapped(self, steps: int, size: int) -> float:
        """Seconds of a compiled stack of `size` runs on one core, compilation included."""
        step = MAPPED_CALL + size * (self.flops * ARITHMETIC + self.written * MAPPED_TOUCHED)
        return self.operations * COMPILED_OPERATION + steps * step

    @property
    def cache_cap(self) -> int:
        """The largest mapped stack that stays in the cache."""
        return max(1, int(CACHE / max(1, self.written)))

    @property
    def run_memory(self) -> int:
        """Bytes that each run of a stack needs at most."""
        return STATES * self.state + CHUNKS * self.chunk + self.written

    def memory(self, size: int) -> int:
        """Bytes that a stack needs at most, the framework left out."""
        return self.tables + size * self.run_memory


HEAVY = 1e8
"""Numbers in the state times samples in a batch, from which on a step is counted without being taken.

Below, a step takes milliseconds, and torch's meta functions a second to load.
"""


def measure(program: Program, values: Values, data: Data, memory: float = math.inf) -> Cost:
    """Take one step of one run and count.

    A heavy one on torch's meta device, where operations have shapes and compute nothing; unless a component
    looks at a number, or keeps a tensor of its own on the CPU.

    Arguments:
        memory: bytes of the GPU that trains; inf on a CPU, where the data lie already.
    """
    state = program.initial(0, values)
    leaves = pytree.tree_leaves(state)
    counter = None
    if sum(tensor.numel() for tensor in leaves) * program.batch_size >= HEAVY:
        # torch has no error of its own for what "meta" cannot do
        with contextlib.suppress(RuntimeError, NotImplementedError):
            counter = _counted(program, values, data, state, torch.device("meta"))
    counter = counter or _counted(program, values, data, state, torch.device("cpu"))
    return Cost(
        counter.operations,
        counter.flops,
        counter.written,
        sum(tensor.nbytes for tensor in leaves),
        counter.convolutional,
        chunk_bytes(program, data, memory),
        resident_bytes(data, memory) if math.isfinite(memory) else 0,
    )


def _counted(program: Program, values: Values, data: Data, initial: State, device: torch.device) -> _Counter:
    counter = _Counter()
    step = program.step_alone(values, _COUNTED, device)
    state = pytree.tree_map(lambda tensor: tensor.to(device), initial)
    tables = {name: table.to(device) for name, table in training_tables(data).items()}
    number = torch.ones((), dtype=program.dtype, device=device)
    # draws are made once a chunk, not once a step: not counted
    raws = [_raw(program, tables, device) for _ in program.turns]
    with counter:
        _, seen = step(state, [batch_of(raw, tables, number, program.dtype) for raw in raws], 1)
        rows([seen], program.columns, program.dtype)
    return counter


def _raw(program: Program, tables: Batch, device: torch.device) -> dict[str, Tensor]:
    """Stands for what a turn draws: only shapes count."""
    drawn = {
        role: torch.full(declared.shape, 0.5, dtype=program.dtype, device=device)
        for role, declared in program.draws().items()
    }
    index = torch.zeros(program.batch_size, dtype=torch.int64, device=device)
    return drawn | {order.index: index for order in row_counts(tables)}


_COUNTED: Guard[Tensor] = Guard(
    # a copy stands for the look at a number that `ALONE` takes
    read=Tensor.clone,
    norm=lambda vector: torch.dot(vector, vector).clone(),
    freeze=lambda probes, step, new, old: new,
)


def sizes(runs: int, cap: int, pieces: int) -> list[int]:
    """How to cut `runs` runs into stacks of at most `cap`, nearly equal, at least `pieces` if possible."""
    # -(-a // b) rounds up
    pieces = min(runs, max(-(-runs // max(1, cap)), pieces))
    return [runs // pieces + (i < runs % pieces) for i in range(pieces)]


class _Counter(TorchDispatchMode):
    """Counts operations that compute, their arithmetic, and the bytes they write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.flops = self.written = 0
        self.convolutional = False

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:  # a view neither computes nor writes
            self.operations += 1
            self.written += sum(t.nbytes for t in pytree.tree_leaves(out) if isinstance(t, torch.Tensor))
        packet = func._overloadpacket
        if packet in flop_registry:
            self.flops += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            self.convolutional |= "conv" in str(packet)
        return out
