"""How one run's step is spread over the runs of a stack: mapped (all at once) or looped (one by one).

Both advance the same runs from the same draws; they differ in speed, and by rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Generic

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ganbench.components.data import Data
from ganbench.components.kinds import Executor
from ganbench.engine.program import Program, Values
from ganbench.engine.rows import Rows
from ganbench.engine.tables import batch_of, training_tables
from ganbench.game import Batch
from ganbench.game.draws import CHUNK, draw_steps
from ganbench.game.probes import Seen, Value, row, rows
from ganbench.game.step import ALONE, State, Step


@dataclass(frozen=True)
class Runs:
    """The runs of a stack: a seed and the swept values of each. All name the same paths."""

    seeds: tuple[int, ...]
    values: tuple[Values, ...]


class Trainer(ABC):
    """Advances a stack, one chunk of draws at a time. Never looks at the device inside a chunk."""

    def __init__(self, program: Program, runs: Runs, data: Data, device: torch.device) -> None:
        self.program, self.device = program, device
        self._all = training_tables(data)
        self._streamed = {name: table for name, table in self._all.items() if streams(table, device)}
        self.tables = {name: table for name, table in self._all.items() if name not in self._streamed}
        self._declared = program.draws()
        self._take(runs)

    def _take(self, runs: Runs) -> None:
        """These runs, before their first step."""
        self.runs, self.step, self._held = runs, 0, -1
        turns, pinned = len(self.program.turns), self.device.type == "cuda"
        batch = self.program.batch_size
        self._rows = Rows(self._all, runs.seeds, batch, turns, self._streamed, pinned)

    def advance(self, steps: int) -> Tensor:
        """Take `steps` steps, within one chunk. Returns their probes on the CPU, steps x runs x columns."""
        first = self.step % CHUNK
        if first + steps > CHUNK:
            raise ValueError(f"steps {self.step} to {self.step + steps} are not within one chunk")
        self.load_chunk()
        ends = first + steps == CHUNK
        beside: AbstractContextManager[None] = self._rows.gathering(self._held + 1) if ends else nullcontext()
        with beside:
            probes = self._advance(first, steps)
        self.step += steps
        return probes

    def load_chunk(self) -> None:
        """Draw what the next step reads, unless that is at hand."""
        chunk = self.step // CHUNK
        if chunk != self._held:
            self._load(self._draw(chunk))
            self._held = chunk

    def restore(self, state: State, step: int) -> None:
        """Go on from a stacked state that was reached after `step` steps."""
        self._restore(state)
        self.step = step

    @abstractmethod
    def state(self) -> State:
        """The stacked state: every tensor has a leading axis of runs."""

    @abstractmethod
    def died(self) -> list[int]:
        """The step at which each run died, 0 where it lives. Waits for the device."""

    @abstractmethod
    def _load(self, chunk: list[dict[str, Tensor]]) -> None: ...

    @abstractmethod
    def _advance(self, first: int, steps: int) -> Tensor: ...

    @abstractmethod
    def _restore(self, state: State) -> None: ...

    def _draw(self, chunk: int) -> list[dict[str, Tensor]]:
        """One mapping a turn: role -> CHUNK x runs x shape."""
        program, steps = self.program, range(chunk * CHUNK, (chunk + 1) * CHUNK)
        return [
            draw_steps(self._declared, self.runs.seeds, f"turn{turn}", steps, program.dtype, self.device)
            | {name: table.to(self.device, non_blocking=True) for name, table in rows.items()}
            for turn, rows in enumerate(self._rows.of(chunk))
        ]


class OneByOne(Trainer, Generic[Value]):
    """One run after another, eagerly: each has a state of its own."""

    def __init__(
        self, program: Program, runs: Runs, data: Data, device: torch.device, steps: Sequence[Step[Value]]
    ) -> None:
        super().__init__(program, runs, data, device)
        self._steps = steps
        self._states = [_initial(program, *run, device) for run in _each(runs)]

    def state(self) -> State:
        """The stacked state."""
        return stacked(self._states)

    def died(self) -> list[int]:
        """The step at which each run died, 0 where it lives."""
        return [int(state.died) for state in self._states]

    def _load(self, chunk: list[dict[str, Tensor]]) -> None:
        self._chunk = chunk

    def _restore(self, state: State) -> None:
        self._states = [unstacked(state, run) for run in range(len(self._steps))]


class Looped(OneByOne[float]):
    """By ordinary autograd over modules that own their parameters: the fastest on a CPU, where they lie."""

    def __init__(self, program: Program, runs: Runs, data: Data, device: torch.device) -> None:
        steps = [program.step_alone(values, ALONE, device) for values in runs.values]
        super().__init__(program, runs, data, device, steps)

    def _advance(self, first: int, steps: int) -> Tensor:
        numbers = torch.arange(self.step + 1, self.step + steps + 1, dtype=self.program.dtype).unbind()
        by_run = [self._advance_one(run, first, numbers) for run in range(len(self._steps))]
        columns, dtype = self.program.columns, self.program.dtype
        probes = torch.full((steps, len(by_run), len(columns)), torch.nan, dtype=dtype)
        if any(by_run):
            values = rows([*chain(*by_run)], columns, dtype)
            for run, own in enumerate(values.split([len(seen) for seen in by_run])):
                probes[: len(own), run] = own  # the rest of a run that died stays nan
        return probes

    def _advance_one(self, run: int, first: int, numbers: Sequence[Tensor]) -> list[Seen[float]]:
        """What one run measured, up to its death."""
        steps, dtype = len(numbers), self.program.dtype
        step, state = self._steps[run], self._states[run]
        # cut into steps at once: a view is cheaper from `unbind` than by indexing step after step
        turns = [
            {role: tensor[first : first + steps, run].unbind() for role, tensor in turn.items()}
            for turn in self._chunk
        ]
        seen: list[Seen[float]] = []
        for k in range(steps):
            if state.died:
                break
            raws = [{role: tensors[k] for role, tensors in turn.items()} for turn in turns]
            batches = [batch_of(raw, self.tables, numbers[k], dtype) for raw in raws]
            state, measured = step(state, batches, self.step + k + 1)
            seen.append(measured)
        self._states[run] = state
        return seen


class PureLooped(OneByOne[Tensor]):
    """By the pure step that `Mapped` maps, on any device. It never looks at a number, so no GPU waits."""

    def __init__(self, program: Program, runs: Runs, data: Data, device: torch.device) -> None:
        super().__init__(program, runs, data, device, [program.step(values) for values in runs.values])

    def _advance(self, first: int, steps: int) -> Tensor:
        numbers = torch.arange(
            self.step + 1, self.step + steps + 1, dtype=torch.float64, device=self.device
        ).unbind()
        rows = [self._advance_one(run, first, numbers) for run in range(len(self._steps))]
        return torch.stack(rows, dim=1).to("cpu")

    def _advance_one(self, run: int, first: int, numbers: Sequence[Tensor]) -> Tensor:
        step, state = self._steps[run], self._states[run]
        probes = []
        for k, number in enumerate(numbers, first):
            raws = [{role: tensor[k, run] for role, tensor in turn.items()} for turn in self._chunk]
            batches = [batch_of(raw, self.tables, number, self.program.dtype) for raw in raws]
            state, seen = step(state, batches, number)
            probes.append(row(seen, self.program.columns))
        self._states[run] = state
        return torch.stack(probes)


def one_by_one(program: Program, runs: Runs, data: Data, device: torch.device) -> Looped | PureLooped:
    """The runs one after another, by what is quickest on the device."""
    return (Looped if device.type == "cpu" else PureLooped)(program, runs, data, device)


class Mapped(Trainer):
    """All runs as one computation: `torch.vmap` of the step, handed to an executor.

    Everything that the step reads or changes lies in tensors whose place never changes, so that an executor
    may capture the step once and replay it. A CUDA graph replays its kernels on the addresses that it was
    captured with, and a compiled step is called with the tensors that it was compiled for: one that was
    replaced instead of written into would be read at its old place, without an error. So a new chunk, a
    restored state and the next step's number are all copied into the old tensors.
    """

    def __init__(
        self, program: Program, runs: Runs, data: Data, device: torch.device, executor: Executor
    ) -> None:
        super().__init__(program, runs, data, device)
        self._executor = executor
        self._state, self._values = self._beginning(runs)
        # both on the device: counted there, they cost no copy a step
        self._clock = torch.ones((), dtype=torch.float64, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        shape = (CHUNK, len(runs.seeds), len(program.columns))
        self._probes = torch.empty(shape, dtype=program.dtype, device=device)
        self._fast: Callable[..., None] | None = None

    def restart(self, runs: Runs) -> None:
        """Train other runs, as many and with the same swept paths, from step 0; nothing is prepared anew."""
        self._take(runs)
        _copy_into((self._state, self._values), self._beginning(runs))

    def state(self) -> State:
        """The stacked state (the live one: copy what you keep)."""
        return self._state

    def died(self) -> list[int]:
        """The step at which each run died, 0 where it lives. Waits for the device."""
        return [int(step) for step in self._state.died.tolist()]

    def _load(self, chunk: list[dict[str, Tensor]]) -> None:
        if self._fast is None:
            self._chunk = chunk
            self._prepare()
        _copy_into(self._chunk, chunk)

    def _advance(self, first: int, steps: int) -> Tensor:
        self._position.fill_(first)
        self._clock.fill_(self.step + 1)
        fast = self._fast
        assert fast is not None, "a chunk is loaded first"
        for _ in range(steps):
            fast()
        # A copy even on the CPU, where `to` would return a view that the next chunk overwrites.
        return self._probes[first : first + steps].to("cpu", copy=True)

    def _restore(self, state: State) -> None:
        _copy_into(self._state, state)

    def _beginning(self, runs: Runs) -> tuple[State, dict[str, Tensor]]:
        """The stacked state before the first step, and the swept values.

        Values are tensors with an axis of runs, so that one captured step serves all of them.
        """
        # stacked on the CPU: a copy to a GPU costs the same for one run and for a thousand
        state = stacked([self.program.initial(*run) for run in _each(runs)])
        values = {
            path: torch.tensor([values[path] for values in runs.values], dtype=_precision(path, self.program))
            for path in runs.values[0]
        }
        moved: tuple[State, dict[str, Tensor]] = pytree.tree_map(
            lambda tensor: tensor.to(self.device), (state, values)
        )
        return moved

    def _prepare(self) -> None:
        """Have the executor prepare the step. Tables and chunk may be large: no executor has to copy them."""
        written, as_written = pytree.tree_flatten((self._state, self._clock, self._position, self._probes))
        read, as_read = pytree.tree_flatten((self._chunk, self._values, self.tables))

        def step(*tensors: Tensor) -> None:
            state, clock, position, probes = pytree.tree_unflatten(tensors[: len(written)], as_written)
            chunk, values, tables = pytree.tree_unflatten(tensors[len(written) :], as_read)
            in_place_step(self.program, state, chunk, values, clock, position, probes, tables)

        self._fast = self._executor.prepare(step, tuple(written), tuple(read))


def in_place_step(
    program: Program,
    state: State,
    chunk: list[dict[str, Tensor]],
    values: dict[str, Tensor],
    clock: Tensor,
    position: Tensor,
    probes: Tensor,
    tables: Batch,
) -> None:
    """One step of a whole stack that updates every tensor where it lies."""

    def one_run(state: State, raws: list[dict[str, Tensor]], values: Values) -> tuple[State, Tensor]:
        batches = [batch_of(raw, tables, clock, program.dtype) for raw in raws]
        state, seen = program.step(values)(state, batches, clock)
        return state, row(seen, program.columns)

    # index_select, because indexing with a number would fix the position in a captured step.
    raws = pytree.tree_map(lambda tensor: tensor.index_select(0, position)[0], chunk)
    if probes.shape[1] == 1:
        # mapped over a single run, a convolution becomes a grouped one and a product a batched one
        alone = pytree.tree_map(lambda tensor: tensor[0], (state, raws, values))
        new, seen = pytree.tree_map(lambda tensor: tensor[None], one_run(*alone))
    else:
        new, seen = torch.vmap(one_run)(state, raws, values)
    _copy_into(state, new)
    probes.index_copy_(0, position, seen[None])
    position.add_(1)
    clock.add_(1)


def _copy_into(held: object, new: object) -> None:
    """Copy every tensor of a tree into its place in another one of the same shape."""
    for place, tensor in zip(pytree.tree_leaves(held), pytree.tree_leaves(new), strict=True):
        place.copy_(tensor)


def streams(table: Tensor, device: torch.device) -> bool:
    """Whether rows are copied to the device chunk by chunk, because the table does not fit on it."""
    return table.device.type != device.type


def _precision(path: str, program: Program) -> torch.dtype:
    """Optimisers count in float64; a component's option has the precision of what it is multiplied with."""
    return torch.float64 if path.startswith("optimizer.") else program.dtype


def stacked(states: Sequence[State]) -> State:
    """States of single runs as one, with a leading axis of runs."""
    return pytree.tree_map(lambda *tensors: torch.stack(tensors), states[0], *states[1:])


def unstacked(state: State, run: int) -> State:
    """One run's state out of a stacked one."""
    # A clone: the live state is overwritten in place by the next step.
    return pytree.tree_map(lambda tensor: tensor[run].clone(), state)


def _initial(program: Program, seed: int, values: Values, device: torch.device) -> State:
    return pytree.tree_map(lambda tensor: tensor.to(device), program.initial(seed, values))


def _each(runs: Runs) -> list[tuple[int, Values]]:
    return list(zip(runs.seeds, runs.values, strict=True))


OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)
"""What a RuntimeError says where memory ran out on the CPU, in CUDA, or in its libraries."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, however the error is wrapped."""
    return any(map(_says_out_of_memory, _chain(error)))


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in OUT_OF_MEMORY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was raised from, or while handling: compilers wrap what they meet."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]
