"""The question how fast stacks of several sizes train."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import torch

from ganbench.doctor.findings import Rate
from ganbench.doctor.games import Game, Name, seeds
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.trainers import Trainer
from ganbench.game.draws import CHUNK

CHUNKS = 5
SECONDS = 5.0
"""After this time no further chunk is begun."""


def rates(ways: Sequence[tuple[str, int]], device: str) -> tuple[Rate, ...]:
    """Of each way with its number of runs."""
    torch.set_num_threads(1)
    return tuple(_rate(Game(Name.R1, device), way, runs) for way, runs in ways)


def _rate(game: Game, way: str, runs: int) -> Rate:
    begun = time.perf_counter()
    trainer = game.trainer(way, runs)
    trainer.advance(CHUNK)
    preparing = time.perf_counter() - begun
    draws, steps = zip(*_chunks(trainer), strict=True)
    evaluate = game.variant["evaluate"]
    evaluator = Evaluator(evaluate, game.catalogue, game.program, seeds(runs), game.data)
    evaluator.measure(trainer.state(), 0, [0])  # prepares what it keeps of the real samples
    evaluation = timed(lambda: evaluator.measure(trainer.state(), trainer.step, range(runs)))
    times = (preparing, median(draws), median(steps), evaluation)
    return Rate(game.device, way, runs, CHUNK, evaluate["every"], *times)


def _chunks(trainer: Trainer) -> Iterator[tuple[float, float]]:
    """Seconds of the draws and of the steps of some chunks."""
    begun = time.perf_counter()
    for _ in range(CHUNKS):
        yield timed(trainer.load_chunk), timed(lambda: trainer.advance(CHUNK))
        if time.perf_counter() - begun > SECONDS:
            return


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes, the GPU's part included."""
    begun = time.perf_counter()
    work()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - begun
