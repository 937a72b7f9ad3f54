"""What techniques that wrap the field share: the field of all players at one point."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ganbench import Flow, GradientField, Joint, Named, Turn


def whole(
    inner: GradientField, turn: Turn, joint: Joint, buffers: Named, batch: Mapping[str, Tensor]
) -> tuple[Joint, Flow]:
    """Every player's gradient at a point, and the flow of the turn's own players.

    The movers are asked first, so that they see the buffers that they would see alone; what the others do to
    the buffers is dropped.
    """
    flow = inner(turn, joint, buffers, batch)
    others = tuple(player for player in joint if player not in turn)
    gradients = flow.gradients | (inner(others, joint, flow.buffers, batch).gradients if others else {})
    return {player: gradients[player] for player in joint}, flow


def dot(a: Joint, b: Joint) -> Tensor:
    """Inner product over all players."""
    return torch.stack([torch.dot(a[player], b[player]) for player in a]).sum()
