"""What follows from a report: a sentence each, and whether training could not go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ganbench.doctor.children import Lost
from ganbench.doctor.findings import Agreement, Facts, Folder, Gpu, Memory, Rate, Report
from ganbench.text import percent, size

LITTLE = 1e9
"""Bytes of memory or disk below which training may fail."""
OFTEN = 0.3
"""Share of the time from which evaluations are too frequent."""


@dataclass(frozen=True)
class Advice:
    """One sentence.

    Arguments:
        stops: whether training cannot go on before this is done.
    """

    text: str
    stops: bool = False


def advice(report: Report) -> list[Advice]:
    """What to do, the worst first."""
    found = [*_of_facts(report), *_of_folders(report.folders), *_of_ways(report), *_of_numbers(report)]
    found += [*_of_memory(report.memory), *_of_speed(report)]
    return sorted(found, key=lambda one: not one.stops)


def _of_facts(report: Report) -> Iterator[Advice]:
    facts = report.facts
    if isinstance(facts, Lost):
        yield Advice(f"the {report.device} cannot be used: {facts.reason}", stops=True)
        return
    if report.device == "cpu" and not facts.cxx_compiler:
        yield Advice("no C++ compiler: `apt install g++`; with one, small networks train many times as fast")
    if facts.quota is not None and facts.quota < facts.cores:
        workers = max(1, int(facts.quota))
        grant = f"this container grants the time of {facts.quota:g} of {facts.cores} cores"
        yield Advice(f"{grant}: pass `--workers {workers}`")
    if facts.available < LITTLE:
        yield Advice(
            f"only {size(facts.available)} of memory are free: end other programs or lower `--workers`"
        )
    if facts.gpu:
        yield from _of_gpu(facts, facts.gpu)
    elif facts.cards and not facts.cuda:
        yield Advice(
            f"`nvidia-smi` lists {facts.cards[0]}, but torch {facts.torch} cannot use it: install a build "
            "for CUDA from pytorch.org, or a newer driver"
        )


def _of_gpu(facts: Facts, gpu: Gpu) -> Iterator[Advice]:
    if not facts.triton:
        yield Advice("no Triton: `pip install triton`; without it no step is compiled for the GPU")
    if not facts.c_compiler:
        yield Advice("no C compiler: `apt install gcc`; Triton needs one when it trains")
    if not gpu.supported:
        yield Advice(
            f"this build of torch has no code for compute capability {gpu.capability}: "
            "install one that has, from pytorch.org"
        )
    if gpu.processes:
        yield Advice(
            f"the GPU is busy: other processes on it: {gpu.processes}; speeds and free memory are theirs too"
        )


def _of_folders(folders: Iterable[Folder]) -> Iterator[Advice]:
    elsewhere = {
        "results": "pass `--out FOLDER`, or work in another folder",
        "cache": "name another by GANBENCH_CACHE",
        "compiled steps": "name another by TORCHINDUCTOR_CACHE_DIR",
    }
    for folder in folders:
        if folder.why_not:
            stops = folder.purpose == "results"  # caches only save time
            yield Advice(
                f"{folder.path} cannot be written ({folder.why_not}): {elsewhere[folder.purpose]}", stops
            )
        elif folder.free < LITTLE:
            yield Advice(f"{folder.path}: only {size(folder.free)} are free on that disk")


def _of_ways(report: Report) -> Iterator[Advice]:
    if report.way is None and not isinstance(report.facts, Lost):
        other = "; `--device cpu` trains on the CPU" if report.device == "cuda" else ""
        yield Advice(f"no way of training works on this {report.device}{other}", stops=True)


def _of_numbers(report: Report) -> Iterator[Advice]:
    """What keeps results from being right or repeatable."""
    for agreement in _agreements(report):
        if not agreement.holds and not agreement.reason:
            yield Advice(
                f"{agreement.game} by {agreement.way} computes other numbers than the CPU's loop: do not use "
                f"`--engine {agreement.way}` here",
                stops=True,
            )
    if report.waits and not isinstance(report.waits, Lost) and report.waits.in_steps:
        yield Advice(f"each step waits for the GPU, which slows it down: {report.waits.where}")
    if isinstance(report.repetitions, tuple) and not all(one.equal for one in report.repetitions):
        yield Advice("a game trained twice ends with other bits: results can be repeated up to rounding only")


def _agreements(report: Report) -> tuple[Agreement, ...]:
    return report.agreements if isinstance(report.agreements, tuple) else ()


def _of_memory(memory: Memory | Lost | None) -> Iterator[Advice]:
    if memory is None or isinstance(memory, Lost):
        return
    if memory.grows:
        yield Advice("captured steps leave memory behind: train large suites in several commands")
    if memory.peak > memory.estimate:
        yield Advice(
            f"a stack takes {memory.peak / memory.estimate:.1f} times the memory that is planned: "
            "where memory runs out, stacks are halved"
        )


def _of_speed(report: Report) -> Iterator[Advice]:
    rates = report.rates if isinstance(report.rates, tuple) else ()
    if report.device == "cuda" and rates and not isinstance(report.facts, Lost):
        yield Advice(_crossing(rates, report.facts.cores))
    for rate in rates:
        if rate.device == report.device and rate.evaluating > OFTEN:
            share = f"{percent(rate.evaluating)} of the time of {rate.runs} runs"
            yield Advice(f"evaluations every {rate.every} steps take {share}: evaluate less often")


def _crossing(rates: tuple[Rate, ...], cores: int) -> str:
    """From how many runs on the GPU is quicker than all cores."""
    sizes = sorted(rate.runs for rate in rates if rate.device == "cuda")
    measured = f"of {', '.join(f'{runs:,}' for runs in sizes)} measured"
    for runs in sizes:
        on_gpu = max(rate.run_steps for rate in rates if (rate.device, rate.runs) == ("cuda", runs))
        if on_gpu > _on_all_cores(rates, runs, cores):
            return f"small networks: use the GPU from {runs:,} runs on ({measured})"
    return f"small networks train faster on this machine's {cores} cores: `--device cpu` ({measured})"


def _on_all_cores(rates: tuple[Rate, ...], runs: int, cores: int) -> float:
    """Run-steps per second of that many runs on the CPU, in the best of the stacks that were measured."""
    fitting = [rate for rate in rates if rate.device == "cpu" and rate.runs <= runs]
    return max((min(cores, runs // rate.runs) * rate.run_steps for rate in fitting), default=0.0)
