"""How long a chunk of draws takes, as a share of what torch's own generators need on the CPU.

python -m benchmarks.speed.draws [--out results/speed]

The other side draws as a careful user of torch would: a generator and a call for each run, then one stack of
all runs. Seconds are the processor's, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.speed.interleaved import Spread, Task, rounds
from benchmarks.speed.machine import ROOT, describe
from ganbench.game import philox
from ganbench.game.draws import CHUNK, stream
from ganbench.game.philox import Distribution, native, tensors
from ganbench.report.tables import markdown_table

CPU = torch.device("cpu")
RUNS, BATCH = 16, 64
CASES: list[tuple[Distribution, int]] = [
    (distribution, latent) for distribution in ("normal", "uniform") for latent in (2, 128)
]
ROUNDS, SECONDS = 7, 0.02


def torch_chunk(distribution: Distribution, count: int) -> Tensor:
    """A chunk by torch's generators."""
    sampler = torch.randn if distribution == "normal" else torch.rand
    runs = [sampler((CHUNK, count), generator=stream("cpu", seed, "turn0", 0)) for seed in range(RUNS)]
    return torch.stack(runs, dim=1)


def measured(distribution: Distribution, latent: int, seconds: float = SECONDS) -> list[Spread]:
    """Time of a chunk in C and in operations on tensors, both over torch's."""
    count, keys = BATCH * latent, torch.arange(2 * RUNS).view(RUNS, 2)
    arguments = (distribution, keys, range(CHUNK), count, torch.float32)
    sides: list[Callable[[], Tensor]] = [
        lambda: torch_chunk(distribution, count),
        lambda: philox.drawn(*arguments),
        lambda: tensors.drawn(*arguments),
    ]
    tasks = [Task(lambda times, side=side: [side() for _ in range(times)]) for side in sides]
    by_torch, *ours = rounds(tasks, ROUNDS, seconds, time.process_time)
    return [Spread.ratio(by_torch, rate) for rate in ours]


def page() -> str:
    """The table in Markdown."""
    facts = describe(CPU)
    rows = []
    for distribution, latent in CASES:
        spreads = measured(distribution, latent)
        cells = [f"{spread.median:.2f} [{spread.low:.2f}, {spread.high:.2f}]" for spread in spreads]
        rows.append((distribution, str(latent), *cells))
    in_c = native.drawn("normal", torch.tensor([[0, 0]]), range(1), 1, torch.float32) is not None
    head = ("distribution", "latent", "in C" if in_c else "no C compiler here", "in operations on tensors")
    return (
        "# Draws against torch's generators\n\n"
        f"Made by `python -m benchmarks.speed.draws` on {facts['processor']}, one thread, "
        f"torch {facts['torch']}. The time of a chunk of {CHUNK} steps for {RUNS} runs of batch {BATCH}, "
        "float32, over that of torch's generators (below 1: quicker). Medians of rounds, with the extremes "
        "in brackets.\n\n"
        f"{markdown_table(head, rows)}\n"
    )


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser("benchmarks.speed.draws", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed", help="folder of the page")
    path = parser.parse_args().out / "draws-cpu.md"
    torch.set_num_threads(1)
    text = page()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
