"""The engine with its probes switched off, for the measurement of what they cost and for nothing else."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ganbench.components.data import Data
from ganbench.engine.program import Program, Values
from ganbench.game import Batch, Game, GradientField
from ganbench.game.fields import BoundField, functional_field
from ganbench.game.probes import Seen
from ganbench.game.step import MASKED, Guard, State, Step, clocks
from ganbench.game.update_rules import Rule, StepCount
from ganbench.plugins.discovery import Catalogue


class Bare(Program):
    """A program whose steps measure nothing: no norm, no logit, and a guard that sees only the loss."""

    def __init__(self, config: Mapping[str, Any], catalogue: Catalogue, data: Data) -> None:
        super().__init__(config, catalogue, data)
        self.columns = [("discriminator", "loss")]

    def step(self, values: Values) -> Step:
        """The mapped step without probes."""
        game, rule, wrap = self.bound(values)
        return bare_step(self, wrap(functional_field(_blind(game), self.modules)), rule, MASKED)

    def step_alone(self, values: Values, guard: Guard, device: torch.device | str) -> Step:
        """The eager step without probes."""
        game, rule, wrap = self.bound(values)
        field = wrap(BoundField(_blind(game), copy.deepcopy(self.modules)))
        return bare_step(self, field, rule, guard)


def _blind(game: Game) -> Game:
    return game._replace(observe=lambda player, out: {})


def bare_step(program: Program, field: GradientField, rule: Rule, guard: Guard) -> Step:
    """`ganbench.game.step.train_step` without its measurements. Its one probe is the last loss."""

    def step(state: State, batches: Sequence[Batch], number: StepCount) -> tuple[State, Seen]:
        for turn, batch, clock in zip(program.turns, batches, clocks(program.turns, number), strict=True):
            flow = field(turn, state.joint, state.buffers, batch)
            joint, memory = rule.apply(flow.gradients, state.joint, state.memory, clock)
            losses = [guard.read(flow.losses[player]) for player in turn]
            state = guard.freeze(losses, number, State(joint, memory, flow.buffers, state.died), state)
        return state, Seen({program.columns[0]: losses[0]}, {})

    return step
