"""What metrics of the dynamics share: the game of an evaluation, and its parameters without padding."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganbench import Batch, Evaluation, GameView, Joint, Layout


def game(evaluation: Evaluation) -> GameView:
    """The game at the evaluation's point."""
    assert evaluation.view is not None  # a run's evaluation always has one
    return evaluation.view


def flatten(layout: Layout, joint: Joint) -> Tensor:
    """All players' parameters in one vector, without the padding that their own vectors have."""
    views = (view for player in layout.slots for view in layout.views(player, joint[player]))
    return torch.cat([view.reshape(-1) for view in views])


def unflatten(layout: Layout, vector: Tensor) -> Joint:
    """The point that `flatten` gives as `vector`."""
    joint, first = Joint(), 0
    for player, slots in layout.slots.items():
        sizes = [slot.numel for slot in slots]
        parts = vector[first : first + sum(sizes)].split(sizes)
        joint[player], first = layout.flatten(player, parts), first + sum(sizes)
    return joint


def ascent_field(view: GameView, batch: Batch) -> Callable[[Tensor], Tensor]:
    """v = -(every player's gradient of its own objective), of a vector as `flatten` gives it."""

    def field(vector: Tensor) -> Tensor:
        return -flatten(view.layout, view.gradients(unflatten(view.layout, vector), batch))

    return field


def inner(a: Joint, b: Joint) -> Tensor:
    """Inner product over all players."""
    return torch.stack([torch.dot(a[player], b[player]) for player in a]).sum()
