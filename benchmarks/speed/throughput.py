"""The three measurements of a case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.speed.interleaved import Spread, Task, clocked, rounds
from benchmarks.speed.loop import Captured, Uncaptured
from benchmarks.speed.sides import Bench, advance, first_step
from ganbench.engine.trainers import Trainer
from ganbench.game.draws import CHUNK


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, seconds a round and side, and the steps of the single run."""

    rounds: int = 7
    seconds: float = 0.5
    single_rounds: int = 3
    single_steps: int = 5000


@dataclass(frozen=True)
class Throughput:
    """One way of training `runs` runs at once, against the hand-written loop timed in turn with it.

    Rates are seed-steps per second; `compile` is in seconds and not part of them.
    """

    case: str
    way: str
    runs: int
    compile: float
    rate: Spread
    by_hand: Spread
    ratio: Spread


@dataclass(frozen=True)
class Single:
    """One run of `steps` steps from nothing, compilation included: seconds of both sides."""

    case: str
    way: str
    steps: int
    seconds: Spread
    by_hand: Spread
    ratio: Spread


@dataclass(frozen=True)
class ProbeCost:
    """What the probes cost: the extra time of a step, as a fraction of the step without them."""

    case: str
    way: str
    runs: int
    cost: Spread
    limit: float


def throughput(bench: Bench, runs: int, effort: Effort, mapper: str = "") -> Throughput:
    """The engine's stack of `runs` against the hand-written loop."""
    trainer = bench.engine(runs, mapper)
    compile_time = first_step(trainer)
    way = mapper or bench.mapper
    label = "loop" if way == "loop" else f"{way} {bench.executor}"
    by_hand = Task(bench.hand_written().run)
    mine, theirs = rounds([_task(trainer), by_hand], effort.rounds, effort.seconds)
    spreads = Spread.of(mine), Spread.of(theirs), Spread.ratio(mine, theirs)
    return Throughput(bench.case.name, label, runs, 0.0 if way == "loop" else compile_time, *spreads)


def captured(bench: Bench, effort: Effort) -> Throughput:
    """The hand-written step of one run, captured as a CUDA graph, against the plain one."""
    on_gpu = bench.device.type == "cuda"
    graph = (Captured if on_gpu else Uncaptured)(bench.hand_written(capturable=on_gpu))
    mine, theirs = rounds(
        [Task(graph.run, unit=CHUNK), Task(bench.hand_written().run)], effort.rounds, effort.seconds
    )
    spreads = Spread.of(mine), Spread.of(theirs), Spread.ratio(mine, theirs)
    return Throughput(bench.case.name, "by hand, captured", 1, 0.0, *spreads)


def single(bench: Bench, effort: Effort) -> Single:
    """One run from nothing, the way that the engine predicts to be quicker."""
    cost, steps = bench.cost(), effort.single_steps
    on_cpu = bench.device.type == "cpu"
    way = "loop" if on_cpu and cost.looped(steps) <= cost.mapped(steps, 1) else "vmap"
    mine, theirs = [], []
    for _ in range(effort.single_rounds):
        mine.append(clocked(lambda n: advance(bench.engine(1, way), n), steps))
        theirs.append(clocked(lambda n: bench.hand_written().run(n), steps))
    return Single(bench.case.name, way, steps, Spread.of(mine), Spread.of(theirs), Spread.ratio(theirs, mine))


def probe_cost(bench: Bench, effort: Effort) -> ProbeCost:
    """The engine with its probes against itself without them."""
    case, runs = bench.case, bench.case.probe_runs
    trainers = [bench.engine(runs, probes=probes) for probes in (True, False)]
    for trainer in trainers:
        first_step(trainer)
    measured, bare = rounds([_task(trainer) for trainer in trainers], 2 * effort.rounds, effort.seconds)
    ratio = Spread.ratio(bare, measured)
    cost = Spread(ratio.median - 1, ratio.low - 1, ratio.high - 1)
    return ProbeCost(case.name, bench.mapper, runs, cost, case.probe_limit)


def sizes(bench: Bench) -> Iterator[tuple[int, str]]:
    """(stack size, mapper) of every throughput to measure: the counts, and 2, to cut stacks into."""
    counts = bench.case.counts(bench.device)
    if bench.mapper == "vmap" and bench.device.type == "cpu":
        yield 1, "loop"
        counts = (1, 2, *counts[1:])
    for runs in counts:
        yield runs, ""


def _task(trainer: Trainer) -> Task:
    """Whole chunks, so that drawing their randomness counts."""
    if trainer.step % CHUNK:
        advance(trainer, CHUNK - trainer.step % CHUNK)
    return Task(lambda steps: advance(trainer, steps), len(trainer.runs.seeds), CHUNK)
