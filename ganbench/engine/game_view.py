"""The game at one run's point, for metrics that look at the dynamics themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.engine.program import Program, Values
from ganbench.engine.tables import held_out_tables, index_of, training_tables
from ganbench.game import Batch, Flow, GradientField, Joint, Out
from ganbench.game.draws import Draw, draw, stream
from ganbench.game.nets import Named, Nets

_TABLES = {"train": training_tables, "test": held_out_tables}


class GameView:
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
        self._program, self._values, self._data, self._buffers = program, values, data, buffers
        self._seed, self._step = seed, step
        self._game, *_ = program.bound(values)
        self._field: GradientField = program.plain_field(values)

    @property
    def players(self) -> tuple[str, ...]:
        """All players."""
        return tuple(self.layout.slots)

    @property
    def judges(self) -> tuple[str, ...]:
        """The players that tell real from generated samples."""
        return tuple(self._program.judges)

    def double(self) -> GameView:
        """The same game in double precision: its point, its buffers and its batches."""
        joint = {player: flat.double() for player, flat in self.joint.items()}
        buffers = {net: _in(torch.float64, named) for net, named in self._buffers.items()}
        return GameView(self._program, self._values, self._data, joint, buffers, self._seed, self._step)

    def initial(self) -> Joint:
        """Where the run began."""
        began = self._program.initial(self._seed, self._values).joint
        return {player: flat.to(self.joint[player]) for player, flat in began.items()}

    def batch(self, part: str = "train", index: int = 0) -> dict[str, Tensor]:
        """A batch of the program's size from "train" or "test"; the same for the same part and index."""
        program = self._program
        return self._drawn(_TABLES[part](self._data), program.draws(), program.batch_size, part, index)

    def sample_batch(self, n: int) -> dict[str, Tensor]:
        """What n samples are made of: draws, and held-out rows; always the same."""
        declared = self._program.model.sample_draws(self._program.spec, n)
        return self._drawn(held_out_tables(self._data), declared, n, "sample", n)

    def flow(self, joint: Joint, batch: Batch) -> Flow:
        """Losses, gradients and probes of all players at `joint`."""
        return self._field(self.players, joint, self._buffers, batch)

    def gradients(self, joint: Joint, batch: Batch) -> Joint:
        """Each player's gradient of its own objective."""
        return self.flow(joint, batch).gradients

    def losses(self, joint: Joint, batch: Batch) -> dict[str, Tensor]:
        """Each player's objective."""
        return self.flow(joint, batch).losses

    def loss(self, player: str, joint: Joint, batch: Batch) -> Tensor:
        """One player's objective, as on its turn; no gradient is taken."""
        return self._game.value(player, self._training_nets(joint), batch)[0]

    def play(self, player: str, joint: Joint, batch: Batch) -> Out:
        """What one player's objective is made of: logits, …, as the techniques have them."""
        return self._game.play(player, self._game.conditioned(self._training_nets(joint), batch), batch)

    def sample(self, joint: Joint, batch: Batch) -> Tensor:
        """Samples made of what `sample_batch` gives, networks as when samples are drawn."""
        return self._program.model.sample(self.nets(joint), batch)

    def parameters(self, joint: Joint) -> Named:
        """Network -> name -> parameter."""
        return self._program.named(joint)

    def nets(self, joint: Joint) -> Nets:
        """The networks at `joint`, as they are when samples are drawn."""
        return self._program.sampling_nets(joint, self._buffers)

    def _training_nets(self, joint: Joint) -> Nets:
        return Nets(self._program.modules, self.parameters(joint), self._buffers)

    def _drawn(self, tables: Batch, declared: Mapping[str, Draw], n: int, *role: object) -> dict[str, Tensor]:
        """n rows of the tables, those of one index together, and the declared draws."""
        device, key = self._data.test.device, ("view", *role, self._step)
        rows = stream("cpu", self._seed, *key, "rows")
        sizes = {index_of(name): len(table) for name, table in tables.items()}
        chosen = {index: torch.randint(sizes[index], (n,), generator=rows) for index in sorted(sizes)}
        # a training part that does not fit stays on the CPU
        picked = {
            name: table[chosen[index_of(name)].to(table.device)].to(device) for name, table in tables.items()
        }
        draws = draw(declared, stream(device, self._seed, *key, "draws"), self._program.dtype)
        everything = {index: torch.arange(n, device=device) for index in chosen}
        batch = self._program.batch(draws | everything, picked, torch.tensor(self._step, device=device))
        return _in(next(iter(self.joint.values())).dtype, batch)


def _in(dtype: torch.dtype, named: Batch) -> dict[str, Tensor]:
    """The same tensors, floating ones in `dtype`."""
    return {name: x.to(dtype) if x.is_floating_point() else x for name, x in named.items()}
