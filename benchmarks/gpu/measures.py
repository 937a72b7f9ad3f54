"""What the steps measure: `python -m benchmarks.gpu.measures NAME SETTING FILE`."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec

import pandas as pd
import torch

import ganbench
from benchmarks.gpu import jax_loop
from benchmarks.gpu.rows import BitsRow, Failed, MemoryRow, Row, SuiteRow, write
from benchmarks.gpu.setting import SETTINGS, Setting
from benchmarks.speed import throughput
from benchmarks.speed.cases import CASES, Case
from benchmarks.speed.interleaved import Spread, Task, rounds
from benchmarks.speed.sides import Bench, advance, first_step
from benchmarks.speed.throughput import Throughput
from ganbench.doctor import memory, repetition, ways
from ganbench.doctor.children import Lost, ask
from ganbench.doctor.games import LOOP, Game, Name
from ganbench.engine.trainers import Mapped, Runs, Trainer, one_by_one
from ganbench.plugins.discovery import discover
from ganbench.storage.suite_lock import lock_in
from ganbench.text import first_line

P = ParamSpec("P")
MAP = Path(__file__).with_name("map.toml")
COMMAND = (sys.executable, "-c", "from ganbench.cli import main; main()")
RING = CASES["mlp-2x32-r1"]


def rings(setting: Setting) -> Iterator[Row]:
    """Stacks of ring GANs against the hand-written loop; its CUDA graph and JAX against it, too."""
    bench = _bench(RING, setting)
    yield from _tried("the loop's CUDA graph", throughput.captured, bench, setting.effort)
    for runs in setting.counts:
        yield from _tried(f"{runs} runs", throughput.throughput, bench, runs, setting.effort)
        if jax_loop.installed():
            yield from _tried(f"JAX, {runs} runs", _jax, bench, runs, setting)
    if not jax_loop.installed():
        yield Failed("JAX", "is not installed")


def images(setting: Setting) -> Iterator[Row]:
    """Convolutional GANs by each way and number of runs, against the hand-written loop."""
    for case in setting.images:
        bench = _bench(case, setting)
        for runs in setting.image_counts:
            for way in setting.image_ways:
                what = f"{case.name}, {runs} runs by {way}"
                yield from _tried(what, _image, bench, way, runs, setting)


def quickstart(setting: Setting) -> Iterator[Row]:
    """The first suite."""
    yield _suite("quickstart", setting.quickstart, setting)


def stability_map(setting: Setting) -> Iterator[Row]:
    """A map of 16 x 16 x 8 runs, probes on."""
    yield _suite(str(MAP), setting.map_, setting)


def stack_memory(setting: Setting) -> Iterator[Row]:
    """Of stacks of several sizes, by the way that training takes."""
    way = _way(setting)
    for runs in setting.memory_counts:
        yield from _tried(f"memory of {runs} runs", _memory, way, runs, setting.device)


def bits(setting: Setting) -> Iterator[Row]:
    """Every game in two processes whose caches are cold."""
    way = _way(setting)
    for name in Name if setting.device == "cuda" else (Name.R1,):
        both = [ask(120, repetition.digests, [name], way, setting.device) for _ in range(2)]
        lost = [one.reason for one in both if isinstance(one, Lost)]
        yield BitsRow(name, way, None if lost else both[0] == both[1], *lost[:1])


MEASURES: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "quickstart": quickstart,
    "rings": rings,
    "map": stability_map,
    "images": images,
    "memory": stack_memory,
    "bits": bits,
}


def _bench(case: Case, setting: Setting) -> Bench:
    device = torch.device(setting.device)
    return Bench(case, discover(), device, compiled=device.type == "cuda")


def _tried(what: str, measure: Callable[P, Row], *args: P.args, **kwargs: P.kwargs) -> Iterator[Row]:
    """The row, or why there is none. Memory that it took is given back."""
    try:
        yield measure(*args, **kwargs)
    except Exception as error:
        yield Failed(what, first_line(error) or type(error).__name__)
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _jax(bench: Bench, runs: int, setting: Setting) -> Row:
    loop = jax_loop.JaxLoop(bench.fresh(0), bench.data.train, bench.case.batch, bench.case.r1, runs)
    return _against_by_hand(bench, "JAX, vmap and scan", runs, Task(loop.run, runs, loop.chunk), setting)


def _image(bench: Bench, way: str, runs: int, setting: Setting) -> Row:
    """In single steps, because large ones take seconds. Most draw nothing: a chunk is drawn at once."""
    trainer = _trainer(bench, way, runs)
    seconds = first_step(trainer)
    task = Task(lambda steps: advance(trainer, steps), runs)
    return _against_by_hand(bench, way, runs, task, setting, seconds)


def _trainer(bench: Bench, way: str, runs: int) -> Trainer:
    stack = Runs(tuple(range(runs)), ({},) * runs)
    if way == LOOP:
        return one_by_one(bench.program, stack, bench.data, bench.device)
    executor = bench.catalogue.get("executor", way).cls()
    return Mapped(bench.program, stack, bench.data, bench.device, executor)


def _against_by_hand(
    bench: Bench, way: str, runs: int, task: Task, setting: Setting, seconds: float = 0.0
) -> Throughput:
    """The task and the hand-written loop, timed in turn."""
    effort = setting.effort
    mine, theirs = rounds([task, Task(bench.hand_written().run)], effort.rounds, effort.seconds)
    spreads = Spread.of(mine), Spread.of(theirs), Spread.ratio(mine, theirs)
    return Throughput(bench.case.name, way, runs, seconds, *spreads)


def _suite(suite: str, options: tuple[str, ...], setting: Setting) -> SuiteRow:
    """Through the command, as users do. Where it takes too long, the rows that are there by then count."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "results")
        where = ("--device", setting.device, "--out", str(out), "--quiet")
        command = [*COMMAND, "run", suite, *where, *options]
        begun, code = time.perf_counter(), None
        with suppress(subprocess.TimeoutExpired):
            code = subprocess.run(command, stdout=sys.stderr, timeout=setting.suite_seconds).returncode
        seconds = time.perf_counter() - begun
        results = ganbench.load(out)
        runs = results.runs
        ways = runs["executor"].where(runs["mapper"] != "loop", LOOP)
        steps = max(variant["config"]["steps"] for variant in lock_in(out)["variants"])
    counts = (_counts(runs["outcome"]), _counts(ways))
    return SuiteRow(results.name, list(options), len(runs), steps, seconds, code, *counts)


def _counts(column: pd.Series[str]) -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().items()}


def _memory(way: str, runs: int, device: str) -> MemoryRow:
    if device == "cuda":
        found = memory.memory(way, runs)
        return MemoryRow(Name.R1, way, runs, found.estimate, found.peak)
    Game(Name.R1, device).trainer(way, runs).advance(1)
    return MemoryRow(Name.R1, way, runs, memory.estimate(Name.R1, runs), None)


def _way(setting: Setting) -> str:
    """The way that training takes; on a CPU, one that compiles nothing."""
    if setting.device == "cpu":
        return LOOP
    return next((name for name in ways.names("cuda") if ways.way(name, "cuda").works), LOOP)


def main() -> None:
    """Measure sys.argv[1] by the setting sys.argv[2], into the file sys.argv[3]."""
    name, setting, path = sys.argv[1:]
    torch.set_num_threads(1)
    write(Path(path), MEASURES[name](SETTINGS[setting]))


if __name__ == "__main__":
    main()
