"""A state as named arrays, which a checkpoint holds, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ganbench.game.step import State


def to_arrays(state: State) -> dict[str, np.ndarray]:
    """A state as named arrays."""
    leaves = pytree.tree_leaves(state)
    return {f"{index:04d}": leaf.detach().cpu().numpy() for index, leaf in enumerate(leaves)}


def from_arrays(like: State, arrays: Mapping[str, np.ndarray]) -> State:
    """The state whose arrays these are."""
    leaves, spec = pytree.tree_flatten(like)
    loaded = [torch.from_numpy(arrays[f"{index:04d}"]).to(leaf.device) for index, leaf in enumerate(leaves)]
    state: State = pytree.tree_unflatten(loaded, spec)
    return state
