"""A report in words: a line for each question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from ganbench.doctor.children import Lost
from ganbench.doctor.findings import (
    Agreement,
    Facts,
    Folder,
    Gpu,
    Memory,
    Rate,
    Repetition,
    Report,
    Waits,
    Way,
)
from ganbench.doctor.games import LOOP
from ganbench.text import plural, size


class Verdict(StrEnum):
    """How a question was answered."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    NOT_ASKED = "–"


@dataclass(frozen=True)
class Line:
    """A question, its verdict, and what was found."""

    question: str
    verdict: Verdict
    text: str


T = TypeVar("T")


def lines(report: Report) -> Iterator[Line]:
    """All lines, in the order of the questions."""
    yield from _answered("machine", report.facts, _facts)
    yield from map(_folder, report.folders)
    yield from map(_way, report.ways)
    if report.way:
        yield Line("way taken", Verdict.OK, way_taken(report))
    yield from _answered("agreement", report.agreements, _agreements)
    yield from _answered("waits", report.waits, _waits)
    yield from _answered("repetition", report.repetitions, lambda found: map(_repetition, found))
    yield from _answered("memory of a GPU", report.memory, _memory)
    yield from _answered("speed", report.rates, lambda found: map(_rate, found))
    if report.device == "cpu":
        yield Line("waits, memory of a GPU", Verdict.NOT_ASKED, "no GPU")


def way_taken(report: Report) -> str:
    """How `ganbench run` would train."""
    if report.device == "cpu" and report.way == "compiled":
        return "`ganbench run` takes compiled or loop, by which is predicted to be quicker"
    return f"`ganbench run` takes {report.way}"


def _answered(question: str, found: T | Lost | None, words: Callable[[T], Iterable[Line]]) -> Iterable[Line]:
    """The lines of an answer; of one that is lost, why; of a question that was not asked, none."""
    if isinstance(found, Lost):
        return [Line(question, Verdict.FAILED, found.reason)]
    return [] if found is None else words(found)


def _facts(facts: Facts) -> Iterator[Line]:
    yield Line("software", Verdict.OK, f"Python {facts.python}, torch {facts.torch}")
    cores = f"{plural(facts.cores, 'core')}, a worker each"
    granted = f" (time of {facts.quota:g} granted)" if facts.quota is not None else ""
    memory = f"{size(facts.memory)} of memory, {size(facts.available)} free"
    yield Line("processor", Verdict.OK, f"{facts.processor}: {cores}{granted}; {memory}")
    compiler = facts.c_compiler if facts.gpu else facts.cxx_compiler
    language = "C" if facts.gpu else "C++"
    found = Verdict.OK if compiler else Verdict.NOTE
    yield Line(f"{language} compiler", found, compiler or "none")
    if facts.gpu:
        yield from _gpu(facts, facts.gpu)


def _gpu(facts: Facts, gpu: Gpu) -> Iterator[Line]:
    verdict = Verdict.OK if gpu.supported else Verdict.NOTE
    software = f"driver {gpu.driver}, CUDA {gpu.cuda}, cuDNN {gpu.cudnn}, Triton {facts.triton or 'none'}"
    capability = f"compute capability {gpu.capability}"
    yield Line(
        "GPU", verdict, f"{gpu.name}, {capability}, {size(gpu.memory)}, {size(gpu.free)} free; {software}"
    )
    users = f"compute mode {gpu.compute_mode or 'unknown'}, other processes: {gpu.processes}"
    sharing = ", MPS" if gpu.mps else ""
    precise = f"TF32 in products {_on(gpu.tf32_matmul)}, in convolutions {_on(gpu.tf32_convolutions)}"
    busy = Verdict.NOTE if gpu.processes else Verdict.OK
    yield Line("GPU's settings", busy, f"{users}{sharing}; torch's defaults: {precise}")


def _on(flag: bool) -> str:
    return "on" if flag else "off"


def _folder(folder: Folder) -> Line:
    question = f"folder: {folder.purpose}"
    if folder.why_not:
        return Line(question, Verdict.FAILED, f"{folder.path}: {folder.why_not}")
    state = plural(folder.entries, "file") if folder.entries else "empty"
    return Line(question, Verdict.OK, f"{folder.path}: {state}, {size(folder.free)} free on its disk")


def _way(way: Way) -> Line:
    if not way.works:
        return Line(f"way {way.name}", Verdict.NOTE, way.reason)
    what = "one run after another" if way.name == LOOP else "all runs at once"
    return Line(f"way {way.name}", Verdict.OK, f"works ({what}; {way.seconds:.1f} s to prepare and 64 steps)")


def _agreements(agreements: Iterable[Agreement]) -> Iterator[Line]:
    """One line for all that agree in a precision, and one for each that does not."""
    found = list(agreements)
    for precision in dict.fromkeys(one.precision for one in found):
        holding = [one for one in found if one.precision == precision and one.holds]
        if holding:
            largest = max(one.difference for one in holding)
            by = ", ".join(dict.fromkeys(one.way for one in holding))
            games = f"{plural(len(holding), 'game')} by {by}, {holding[0].steps} steps"
            text = f"{games}: at most {largest:.1g} from the CPU's loop"
            yield Line(f"agreement in {precision}", Verdict.OK, text)
    for one in found:
        if not one.holds:
            why = (
                one.reason
                or f"{one.difference:.1g} from the CPU's loop, at most {one.tolerance:g} is rounding"
            )
            verdict = Verdict.NOTE if one.reason else Verdict.FAILED
            yield Line(f"agreement in {one.precision}", verdict, f"{one.game} by {one.way}: {why}")


def _waits(waits: Waits) -> Iterator[Line]:
    counts = f"{waits.waits[0]} in {waits.steps[0]} step, {waits.waits[1]} in {waits.steps[1]}"
    if waits.in_steps:
        yield Line("waits", Verdict.NOTE, f"steps wait for the GPU ({counts}): {waits.where}")
    else:
        yield Line("waits", Verdict.OK, f"no step waits for the GPU ({counts}: those of a chunk)")


def _repetition(found: Repetition) -> Line:
    question = "trained twice"
    if found.equal:
        return Line(
            question,
            Verdict.OK,
            f"{found.game} by {found.way}: equal bits in two processes that compile anew",
        )
    return Line(question, Verdict.NOTE, f"{found.game} by {found.way}: other bits in the second process")


def _memory(memory: Memory) -> Iterator[Line]:
    first, last = memory.reserved[0], memory.reserved[-1]
    times = plural(len(memory.reserved), "capture")
    verdict = Verdict.NOTE if memory.grows else Verdict.OK
    yield Line("memory of captures", verdict, f"{size(first)} reserved after one, {size(last)} after {times}")
    verdict = Verdict.NOTE if memory.peak > memory.estimate else Verdict.OK
    stack = f"{plural(memory.runs, 'run')}: {size(memory.peak)} at most, {size(memory.estimate)} planned"
    yield Line("memory of a stack", verdict, stack)


def _rate(rate: Rate) -> Line:
    speed = f"{rate.run_steps:,.0f} run-steps a second"
    share = 100 * rate.draws / (rate.draws + rate.steps)
    parts = f"draws {share:.0f}%, prepared in {rate.preparing:.1f} s, an evaluation {rate.evaluation:.2g} s"
    question = f"speed on {rate.device}"
    return Line(question, Verdict.OK, f"{plural(rate.runs, 'run')} by {rate.way}: {speed} ({parts})")
