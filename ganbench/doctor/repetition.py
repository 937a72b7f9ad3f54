"""The question whether a game ends with the same bits when it is compiled and trained once more."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence

import torch
from torch.utils import _pytree as pytree

from ganbench.doctor.games import Game, Name
from ganbench.game.draws import CHUNK

RUNS = 8


def digests(names: Sequence[str], way: str, device: str) -> dict[str, str]:
    """SHA-256 of probes and state of each game after a chunk. Nothing that was compiled before is used."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        os.environ["TRITON_CACHE_DIR"] = folder
        return {name: _digest(Game(Name(name), device), way) for name in names}


def _digest(game: Game, way: str) -> str:
    trainer = game.trainer(way, RUNS)
    hasher = hashlib.sha256()
    for tensor in [trainer.advance(CHUNK), *pytree.tree_leaves(trainer.state())]:
        hasher.update(tensor.cpu().contiguous().numpy().tobytes())
    return hasher.hexdigest()
