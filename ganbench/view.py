"""The game at one run's point, for metrics that look at the dynamics themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.assemble import Program, Values, held_out_tables, index_of, training_tables
from ganbench.components import Data
from ganbench.draws import draw, stream
from ganbench.game import Batch, Field, Flow, Joint
from ganbench.nets import Named, Nets

_TABLES = {"train": training_tables, "test": held_out_tables}


class View:
    """One run's game at one step. Everything is a pure function of a joint point, differentiable in it.

    The objectives are those that are trained, penalties included; field and rule are the plain ones. A batch
    is drawn from streams of the view's own, so that looking disturbs nothing.

    Arguments:
        joint: player -> its parameters, one vector.
        layout: how parameters lie in these vectors.
    """

    def __init__(
        self, program: Program, values: Values, data: Data, joint: Joint, buffers: Named, seed: int, step: int
    ) -> None:
        self.joint, self.layout = joint, program.layout
        self._program, self._data, self._buffers = program, data, buffers
        self._seed, self._step = seed, step
        self._field: Field = program.plain_field(values)

    @property
    def players(self) -> tuple[str, ...]:
        """All players."""
        return tuple(self.layout.slots)

    def batch(self, part: str = "train", index: int = 0) -> dict[str, Tensor]:
        """A batch of the program's size from "train" or "test"; the same for the same part and index."""
        program, tables = self._program, _TABLES[part](self._data)
        role = ("view", part, self._step, index)
        rows = stream("cpu", self._seed, *role, "rows")
        sizes = {index_of(name): len(table) for name, table in tables.items()}
        device = self._data.test.device
        named = {
            role: torch.randint(sizes[role], (program.batch_size,), generator=rows).to(device)
            for role in sorted(sizes)
        }
        draws = draw(program.draws(), stream(device, self._seed, *role, "draws"), program.dtype)
        return dict(program.batch(draws | named, tables, torch.tensor(self._step, device=device)))

    def flow(self, joint: Joint, batch: Batch) -> Flow:
        """Losses, gradients and probes of all players at `joint`."""
        return self._field(self.players, joint, self._buffers, batch)

    def gradients(self, joint: Joint, batch: Batch) -> Joint:
        """Each player's gradient of its own objective."""
        return self.flow(joint, batch).gradients

    def losses(self, joint: Joint, batch: Batch) -> dict[str, Tensor]:
        """Each player's objective."""
        return self.flow(joint, batch).losses

    def parameters(self, joint: Joint) -> Named:
        """Network -> name -> parameter."""
        return self._program.named(joint)

    def nets(self, joint: Joint) -> Nets:
        """The networks at `joint`, as they are when samples are drawn."""
        return self._program.sampling_nets(joint, self._buffers)
