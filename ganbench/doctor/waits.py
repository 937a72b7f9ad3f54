"""The question whether the CPU waits for the GPU in a step."""

from __future__ import annotations

import warnings

import torch

from ganbench.doctor.findings import Waits
from ganbench.doctor.games import Game, Name
from ganbench.engine.trainers import Trainer
from ganbench.game.draws import CHUNK
from ganbench.text import first_line

RUNS = 8
SYNCHRONIZING = "synchronizing"
"""Part of torch's warning of a wait."""


def waits(way: str) -> Waits:
    """Count the waits of a single step, and of all other steps of the chunk.

    A chunk ends with a wait, for its probes, so torch cannot be made to raise at the first one. What counts
    is that more steps do not wait more often.
    """
    trainer = Game(Name.R1, "cuda").trainer(way, RUNS)
    trainer.advance(CHUNK)  # compiles and captures
    trainer.load_chunk()
    (few, _), (many, where) = _counted(trainer, 1), _counted(trainer, CHUNK - 1)
    return Waits(way, (1, CHUNK - 1), (few, many), where if many > few else "")


def _counted(trainer: Trainer, steps: int) -> tuple[int, str]:
    """How often these steps wait, and the first line of the first warning, with its place."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            trainer.advance(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [one for one in caught if SYNCHRONIZING in str(one.message)]
    where = f"{found[0].filename}:{found[0].lineno}: {first_line(found[0].message)}" if found else ""
    return len(found), where
