"""The question how much of the GPU's memory stacks take, and whether they give it back."""

from __future__ import annotations

import gc

import torch

from ganbench.doctor.findings import Memory
from ganbench.doctor.games import Game, Name
from ganbench.planning import cost

TIMES = 10
RUNS = 256


def memory(way: str, runs: int = RUNS) -> Memory:
    """Capture and free several times; then a stack of `runs` runs, its peak against the plan's estimate."""
    game = Game(Name.R1, "cuda")
    reserved = []
    for _ in range(TIMES):
        _train(game, way, runs=8)
        reserved.append(torch.cuda.memory_reserved())
    held = torch.cuda.memory_allocated()  # the data table is there already
    torch.cuda.reset_peak_memory_stats()
    _train(game, way, runs)
    peak = torch.cuda.max_memory_allocated() - held
    return Memory(way, tuple(reserved), runs, estimate(Name.R1, runs), peak)


def estimate(name: Name, runs: int) -> int:
    """Bytes that the plan gives a stack."""
    game = Game(name, "cpu")
    return cost.measure(game.program, {}, game.data).memory(runs)


def _train(game: Game, way: str, runs: int) -> None:
    """One step; whatever it took is given back to the driver as far as possible."""
    game.trainer(way, runs).advance(1)
    gc.collect()
    torch.cuda.empty_cache()
