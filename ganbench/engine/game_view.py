"""The game at one run's point, for metrics that look at the dynamics themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganbench.components.data import Data
from ganbench.components.game_view import GameView
from ganbench.engine.program import Program, Values
from ganbench.engine.sampling import Sampler
from ganbench.engine.tables import batch_of, held_out_tables, picked, sizes, training_tables
from ganbench.game import Batch, Flow, GradientField, Joint, Out
from ganbench.game.draws import Draw, draw, stream
from ganbench.game.nets import Named, Nets

_TABLES = {"train": training_tables, "test": held_out_tables}


class PlayedGame(GameView):
    """The `GameView` of a program's run at one step."""

    def __init__(
        self, program: Program, values: Values, data: Data, joint: Joint, buffers: Named, seed: int, step: int
    ) -> None:
        self.joint, self.layout = joint, program.layout
        self._program, self._values, self._data, self._buffers = program, values, data, buffers
        self._seed, self._step = seed, step
        self._sampler = Sampler(program)
        # The rule and the techniques' fields change how the point moves, not the game that is looked at.
        self._game, *_ = program.bound(values)
        self._field: GradientField = program.plain_field(values)

    @property
    def players(self) -> tuple[str, ...]:
        """The names of all players."""
        return tuple(self.layout.slots)

    @property
    def judges(self) -> tuple[str, ...]:
        """The players that distinguish real from generated samples."""
        return tuple(self._program.judges)

    def double(self) -> PlayedGame:
        """The same game in double precision: its point, its buffers and its batches."""
        joint = {player: flat.double() for player, flat in self.joint.items()}
        buffers = {net: _in(torch.float64, named) for net, named in self._buffers.items()}
        return PlayedGame(self._program, self._values, self._data, joint, buffers, self._seed, self._step)

    def initial(self) -> Joint:
        """The point at which the run began."""
        began = self._program.initial(self._seed, self._values).joint
        return {player: flat.to(self.joint[player]) for player, flat in began.items()}

    def batch(self, part: str = "train", index: int = 0) -> dict[str, Tensor]:
        """A batch of the program's size from "train" or "test"; the same for the same part and index."""
        program = self._program
        return self._drawn(_TABLES[part](self._data), program.draws(), program.batch_size, f"{part}/{index}")

    def sample_batch(self, n: int) -> dict[str, Tensor]:
        """What n samples are made of: draws, and held-out rows; always the same."""
        declared = self._program.model.sample_draws(self._program.spec, n)
        return self._drawn(held_out_tables(self._data), declared, n, f"sample/{n}")

    def flow(self, joint: Joint, batch: Batch) -> Flow:
        """Losses, gradients and probes of all players at `joint`."""
        return self._field(self.players, joint, self._buffers, batch)

    def gradients(self, joint: Joint, batch: Batch) -> Joint:
        """Each player's gradient of its own objective."""
        return self.flow(joint, batch).gradients

    def losses(self, joint: Joint, batch: Batch) -> dict[str, Tensor]:
        """The value of each player's objective."""
        return self.flow(joint, batch).losses

    def loss(self, player: str, joint: Joint, batch: Batch) -> Tensor:
        """One player's objective, as on its turn; no gradient is taken."""
        return self._game.value(player, self._training_nets(joint), batch)[0]

    def play(self, player: str, joint: Joint, batch: Batch) -> Out:
        """What one player's objective is made of: logits, …, as the techniques have them."""
        return self._game.play(player, self._game.conditioned(self._training_nets(joint), batch), batch)

    def sample(self, joint: Joint, batch: Batch) -> Tensor:
        """Samples made of what `sample_batch` gives, networks as when samples are drawn."""
        # not `Sampler.sample`: metrics differentiate samples with respect to their noise
        return self._program.model.sample(self.nets(joint), batch)

    def parameters(self, joint: Joint) -> Named:
        """Network -> name -> parameter."""
        return self.layout.parameters(joint)

    def nets(self, joint: Joint) -> Nets:
        """The networks at `joint`, as they are when samples are drawn."""
        return self._sampler.nets(joint, self._buffers)

    def _training_nets(self, joint: Joint) -> Nets:
        return Nets(self._program.modules, self.parameters(joint), self._buffers)

    def _drawn(self, tables: Batch, declared: Mapping[str, Draw], n: int, role: str) -> dict[str, Tensor]:
        """n rows of the tables, those of one order together, and the declared draws."""
        device, role = self._data.test.device, f"view/{role}"
        generator = stream("cpu", self._seed, role, self._step, "rows")
        rows = {
            order: torch.randint(size, (n,), generator=generator) for order, size in sizes(tables).items()
        }
        chosen = {name: table.to(device) for name, table in picked(tables, rows).items()}
        draws = draw(declared, self._seed, role, self._program.dtype, device, self._step)
        every = {order.index: torch.arange(n, device=device) for order in rows}
        step = torch.tensor(self._step, device=device)
        batch = batch_of(draws | every, chosen, step, self._program.dtype)
        # drawn in the program's precision and only then cast, so that `double` sees the same numbers
        return _in(next(iter(self.joint.values())).dtype, batch)


def _in(dtype: torch.dtype, named: Batch) -> dict[str, Tensor]:
    """The same tensors, floating ones in `dtype`."""
    return {name: x.to(dtype) if x.is_floating_point() else x for name, x in named.items()}
