"""Where a training step happens."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from ganbench.game import Batch, GradientField, Joint, Turn
from ganbench.game.compute_once import compute_once
from ganbench.game.nets import Named
from ganbench.game.probes import PLAYER_PROBES, Extras, Seen, Value
from ganbench.game.update_rules import Clock, Memory, Rule, StepCount


class State(NamedTuple):
    """Everything that a step changes, of one run (or, with a leading axis, of a stack)."""

    joint: Joint
    memory: Memory
    buffers: Named
    died: Tensor
    """float64 0-d: the step at which a non-finite number appeared, 0 while there is none."""


Step = Callable[[State, Sequence[Batch], StepCount], tuple[State, Seen[Value]]]
"""(state, one batch a turn, number of the step from 1) -> (state, what was measured)"""


class Guard(NamedTuple, Generic[Value]):
    """How a step looks at what it measures, and what becomes of a run that has died.

    `read(scalar)` and `norm(vector)` are probes as they are kept; `freeze(probes, step, new, old)` is `new`
    while all of the probes are finite, else `old` with its time of death.
    """

    read: Callable[[Tensor], Value]
    norm: Callable[[Tensor], Value]
    freeze: Callable[[Sequence[Value], StepCount, State, State], State]


def train_step(
    turns: Sequence[Turn],
    field: GradientField,
    rule: Rule,
    guard: Guard[Value],
    extras: Extras,
) -> Step[Value]:
    """One step of one run: every turn moves its players along the field.

    A run whose loss, or the norm of whose gradient, update or weights is not finite is frozen at its last
    finite state. A square that overflows the optimiser's memory overflows one of the norms first, so they are
    guard enough.
    """
    names = {player: [(player, name) for name in PLAYER_PROBES] for turn in turns for player in turn}

    def step(state: State, batches: Sequence[Batch], number: StepCount) -> tuple[State, Seen[Value]]:
        seen: Seen[Value] = Seen({}, {})
        for turn, batch, clock in zip(turns, batches, clocks(turns, number), strict=True):
            flow = field(turn, state.joint, state.buffers, batch)
            joint, memory = rule.apply(flow.gradients, state.joint, state.memory, clock)
            guarded: list[Value] = []
            for player in turn:
                asked, memory = extras.measure(player, flow.gradients[player], memory)
                vectors = flow.gradients[player], joint[player] - state.joint[player], joint[player]
                probes = [guard.read(flow.losses[player]), *map(guard.norm, vectors)]
                seen.probes.update(zip(names[player], probes, strict=True))
                seen.probes.update({(player, name): guard.read(value) for name, value in asked.items()})
                if flow.outs[player]:
                    seen.logits[player] = flow.outs[player]
                guarded += probes
            # Frozen turn by turn: the next turn must not look at a point that is not finite.
            state = guard.freeze(guarded, number, State(joint, memory, flow.buffers, state.died), state)
        return state, seen

    return step


def clocks(turns: Sequence[Turn], number: StepCount) -> list[Clock]:
    """The clock of each turn of a step. A player that moves several times a step is counted every time."""
    moves = [player for turn in turns for player in turn]
    clocks, moved = list[Clock](), list[str]()
    for index, turn in enumerate(turns):
        moved += turn
        # Adam's bias correction counts a player's own updates, not the steps.
        updates = {who: _updates(number, moves.count(who), moved.count(who)) for who in turn}
        clocks.append(Clock(number, updates, last=index == len(turns) - 1))
    return clocks


def _updates(number: StepCount, often: int, now: int) -> StepCount:
    """How many times a player has moved that moves `often` times a step, at its `now`-th of step `number`."""
    return number if often == 1 else (number - 1) * often + now


def _norm_alone(vector: Tensor) -> float:
    return math.sqrt(torch.dot(vector, vector).item())  # `vector_norm` costs small steps more


# A run freezes at its last finite state instead of raising: in a stack its neighbours go on, and it can still
# be evaluated. What the turn with the non-finite number did is thrown away.


def _freeze_alone(probes: Sequence[float], step: StepCount, new: State, old: State) -> State:
    if old.died or all(map(math.isfinite, probes)):
        return old if old.died else new
    return old._replace(died=torch.full_like(old.died, int(step)))


def _freeze_masked(probes: Sequence[Tensor], step: StepCount, new: State, old: State) -> State:
    total = reduce(operator.add, probes)  # one by one: a stack would part the compiled step in two
    died = torch.where((old.died == 0) & ~torch.isfinite(total), step, old.died)
    alive = died == 0

    def pick(new: Tensor, old: Tensor) -> Tensor:
        return old if new is old else torch.where(alive, new, old)  # what a turn left alone needs no choice

    return State(
        # once: the next turn reads these weights for every sample of its batch
        {player: compute_once(pick(new.joint[player], old.joint[player])) for player in old.joint},
        {name: pick(new.memory[name], old.memory[name]) for name in old.memory},
        {
            net: {name: pick(new.buffers[net][name], old.buffers[net][name]) for name in names}
            for net, names in old.buffers.items()
        },
        died,
    )


ALONE = Guard(Tensor.item, _norm_alone, _freeze_alone)
"""Looks at numbers, so that a dead run costs nothing more: for one run, on a CPU."""
MASKED = Guard(lambda value: value, torch.linalg.vector_norm, _freeze_masked)
"""Never looks at a number, which would make a GPU wait: so it can be mapped and captured."""
