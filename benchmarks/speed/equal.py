"""What makes the comparison fair: from equal weights and equal batches both sides reach equal weights."""

from __future__ import annotations

from benchmarks.speed.sides import Bench, advance
from ganbench.engine.trainers import Trainer

STEPS = 20
TOLERANCE = 1e-9
"""In float64."""


def difference(bench: Bench, trainer: Trainer, steps: int = STEPS) -> float:
    """The largest difference between a parameter of the engine's first run and of the hand-written loop.

    Both take `steps` steps (within a chunk) from the same weights on the batches that the engine draws.
    """
    loop = bench.hand_written(trainer.runs.seeds[0])
    discriminator, generator = trainer._draw(0)
    advance(trainer, steps)
    for k in range(steps):
        loop.step(discriminator["index"][k, 0], discriminator["noise"][k, 0], generator["noise"][k, 0])
    nets = {"generator": loop.generator, "discriminator": loop.discriminator}
    reached, state = bench.program.layout.pack(nets), trainer.state()
    return max((state.joint[player][0] - reached[player]).abs().max().item() for player in reached)


def check(bench: Bench) -> float:
    """The difference for the way that the bench times, in float64; RuntimeError where it is too large."""
    exact = Bench(bench.case, bench.catalogue, bench.device, "float64", bench.compiled)
    found = difference(exact, exact.engine(2))
    if not found <= TOLERANCE:
        raise RuntimeError(
            f"{bench.case.name}: the engine and the hand-written loop differ by {found:.1e} after {STEPS} "
            "steps in float64, so their speeds cannot be compared"
        )
    return found
