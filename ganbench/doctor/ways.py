"""The question whether a way of training works here."""

from __future__ import annotations

import time

import torch

from ganbench.doctor.findings import Way
from ganbench.doctor.games import LOOP, Game, Name
from ganbench.executors import CUDA_EXECUTORS
from ganbench.game.draws import CHUNK
from ganbench.plugins.discovery import discover
from ganbench.text import first_line

RUNS = 2


def names(device: str) -> tuple[str, ...]:
    """Every way, in the order in which training takes them; executors of plugins come after the core's."""
    core = (*CUDA_EXECUTORS, LOOP) if device == "cuda" else ("compiled", LOOP, "eager")
    others = [name for name in discover().names("executor") if name not in CUDA_EXECUTORS]
    return (*core, *others)


def way(name: str, device: str) -> Way:
    """Prepare a small game by it and take a chunk of steps."""
    torch.set_num_threads(1)
    game, begun = Game(Name.R1, device), time.monotonic()
    if name != LOOP:
        unavailable = game.catalogue.get("executor", name).cls().available(device)
        if unavailable:
            return Way(name, False, 0.0, unavailable)
    try:
        trainer = game.trainer(name, RUNS)
        trainer.advance(CHUNK)
    except Exception as error:
        return Way(name, False, time.monotonic() - begun, first_line(error) or type(error).__name__)
    died = max(trainer.died())
    reason = f"the game diverged at step {died}" if died else ""
    return Way(name, not died, time.monotonic() - begun, reason)
