"""What measuring costs in whole suites: probes at every step, evaluations on schedule.

python -m benchmarks.speed.probe_overhead [--suites quickstart,mnist] [--out results/speed]

Nothing is trained to its end: steps and evaluations of every variant are timed, and weighed as often as the
suite takes them. Seconds are the processor's, so that other work on the machine does not count. mnist needs
its data (GANBENCH_DATA).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.bare import Bare
from benchmarks.speed.interleaved import Spread, Task, clocked, rounds
from benchmarks.speed.machine import ROOT, describe
from benchmarks.speed.sides import advance, first_step
from ganbench.components.data import Data
from ganbench.engine.data import Sources
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs, Trainer
from ganbench.game.draws import CHUNK
from ganbench.planning.choice import settings
from ganbench.planning.plan import make_plan
from ganbench.plugins.discovery import Catalogue, discover
from ganbench.report.tables import markdown_table
from ganbench.suites.load import find_suite, load_suite

LIMITS = {"probes": 0.05, "evaluations": 0.15}
"""The most that a suite should spend on them, as shares of its training."""
ROUNDS, SECONDS = 15, 0.2
LONG = 2.0
"""Seconds of a chunk that is too long to be timed."""


@dataclass(frozen=True)
class Row:
    """One stack: seconds of a step with and without probes, and of an evaluation, all its runs together."""

    label: str
    way: str
    runs: int
    step: float
    bare: float
    evaluation: float
    steps: int
    evaluations: int

    @property
    def probes(self) -> float:
        """Share of the training."""
        return (self.step - self.bare) / self.step

    @property
    def measuring(self) -> float:
        """Share of the training that evaluations add."""
        return self.evaluation * self.evaluations / (self.step * self.steps)


def measure(suite: str, catalogue: Catalogue, scratch: Path) -> Iterator[Row]:
    """A row for every stack that the suite would be trained in."""
    chosen = settings("cpu", "auto", 1, catalogue)
    plan = make_plan(load_suite(find_suite(suite, catalogue), catalogue), catalogue, scratch, chosen)
    sources = Sources(catalogue)
    for stack in plan.stacks:
        yield _row(stack.config, catalogue, sources.load(stack.config["variants"][0]["dataset"]))


def _row(config: Mapping[str, Any], catalogue: Catalogue, data: Data) -> Row:
    variant = config["variants"][0]
    runs = Runs(tuple(config["seeds"]), tuple(config["values"]))
    program = Program(variant, catalogue, data)
    trainers = [
        _trainer(one, runs, data, config, catalogue) for one in (program, Bare(variant, catalogue, data))
    ]
    for trainer in trainers:
        first_step(trainer)
    unit = _unit(trainers)
    tasks = [Task(lambda n, t=trainer: advance(t, n), unit=unit) for trainer in trainers]  # type: ignore[misc]
    measured, bare = rounds(tasks, ROUNDS, SECONDS, time.process_time)
    step = 1 / Spread.of(measured).median
    evaluator = Evaluator(variant["evaluate"], catalogue, program, runs, data)
    alive, every, steps = range(len(runs.seeds)), variant["evaluate"]["every"], variant["steps"]
    evaluate = lambda step: evaluator.measure(trainers[0].state(), step, alive)  # noqa: E731
    evaluate(0)  # real features are taken once and kept
    seconds = Spread.of([clocked(evaluate, at, time.process_time) for at in range(1, 4)])
    return Row(
        config["label"],
        config["engine"]["mapper"],
        len(runs.seeds),
        step,
        step * Spread.ratio(measured, bare).median,
        seconds.median,
        steps,
        len({*range(0, steps + 1, every), steps}),
    )


def _unit(trainers: list[Trainer]) -> int:
    """Steps to be timed together: a whole chunk, as suites take them, unless that takes seconds."""
    if clocked(trainers[0].advance, 1) * CHUNK > LONG:
        return 1
    for trainer in trainers:
        advance(trainer, CHUNK - trainer.step % CHUNK)
    return CHUNK


def _trainer(
    program: Program, runs: Runs, data: Data, config: Mapping[str, Any], catalogue: Catalogue
) -> Trainer:
    device = torch.device("cpu")
    if config["engine"]["mapper"] == "loop":
        return Looped(program, runs, data, device)
    executor: Any = catalogue.get("executor", config["engine"]["executor"]).cls()
    return Mapped(program, runs, data, device, executor)


def shares(rows: list[Row]) -> dict[str, float]:
    """Of the whole suite: what is spent on either, over what is spent on training."""
    training = sum(row.step * row.steps for row in rows)
    return {
        "probes": sum((row.step - row.bare) * row.steps for row in rows) / training,
        "evaluations": sum(row.evaluation * row.evaluations for row in rows) / training,
    }


def section(suite: str, rows: list[Row]) -> str:
    """A suite's tables."""
    told = [
        [
            row.label,
            f"{row.runs} by {row.way}",
            f"{1e3 * row.step:.3g}",
            f"{row.probes:+.1%}",
            f"{1e3 * row.evaluation:.3g}",
            f"{row.measuring:.1%}",
        ]
        for row in rows
    ]
    headers = ["stack", "runs", "ms a step", "probes", "ms an evaluation", "evaluations"]
    whole = [
        [what, f"{share:.1%}", f"{LIMITS[what]:.0%}", "yes" if share <= LIMITS[what] else "no"]
        for what, share in shares(rows).items()
    ]
    return "\n\n".join(
        [
            f"## {suite}",
            markdown_table(["", "share of training", "at most", "kept"], whole, right=(1, 2)),
            markdown_table(headers, told, right=(2, 3, 4, 5)),
        ]
    )


def main() -> int:
    """Measure and write measuring-cpu.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--suites", default="quickstart,mnist")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    catalogue = discover()
    machine = describe(torch.device("cpu"))
    lines = [
        "# What measuring costs",
        f"Made by `python -m benchmarks.speed.probe_overhead --suites {given.suites}` "
        f"on {machine['device']}, "
        f"one thread, torch {machine['torch']}. Medians of processor time; shares of the training's, "
        "compilation apart.",
    ]
    for suite in given.suites.split(","):
        rows = []
        for row in measure(suite, catalogue, given.out / "no-results-here"):
            rows.append(row)
            print(
                f"{suite}: {row.label}: probes {row.probes:+.1%}, evaluations {row.measuring:.1%}",
                file=sys.stderr,
            )
        lines.append(section(suite, rows))
    given.out.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(lines) + "\n"
    (given.out / "measuring-cpu.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
