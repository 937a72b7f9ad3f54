"""Which questions are asked of a machine, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from ganbench.doctor import agreement, facts, memory, repetition, speed, waits, ways
from ganbench.doctor.children import Lost, ask
from ganbench.doctor.findings import Agreement, Rate, Repetition, Report, Way
from ganbench.doctor.games import LOOP, Name

P = ParamSpec("P")
T = TypeVar("T")
COMPILED = (Name.R1, Name.DCGAN)
"""Games that are compared by the way that training takes."""
SIZES = (1, 32, 1024)
"""Runs of the stacks whose speed is measured on a GPU."""
ON_CPU = 32
"""Runs of a compiled stack on a CPU: larger ones fall out of the cache."""


@dataclass(frozen=True)
class Examination:
    """Of a device, "cpu" or "cuda".

    Arguments:
        seconds: that each question may take.
        say: gets the subject of each question before it is asked.
    """

    device: str
    seconds: float
    say: Callable[[str], None]

    def quick(self) -> Report:
        """The facts, the first way that works, whether its numbers are right, and whether it waits."""
        return self._correct(replace(self._machine(), ways=self._ways(first=True)))

    def full(self) -> Report:
        """Everything."""
        report = self._correct(replace(self._machine(), ways=self._ways(first=False)))
        way = report.way
        if way is None:
            return report
        report = replace(report, repetitions=self._repetitions(way))
        if self.device == "cuda":
            report = replace(report, memory=self._ask("memory", memory.memory, way))
        return replace(report, rates=self._rates(report, way))

    def _ask(self, subject: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Lost:
        self.say(subject)
        return ask(self.seconds, function, *args, **kwargs)

    def _machine(self) -> Report:
        """The report that others add to."""
        return Report(self.device, self._ask("facts", facts.facts, self.device))

    def _ways(self, first: bool) -> tuple[Way, ...]:
        """Each way in a process of its own, or those up to the first that works."""
        tried: list[Way] = []
        for name in ways.names(self.device):
            found = self._ask(f"way {name}", ways.way, name, self.device)
            tried.append(Way(name, False, 0.0, found.reason) if isinstance(found, Lost) else found)
            if first and tried[-1].works:
                break
        return tuple(tried)

    def _correct(self, report: Report) -> Report:
        """With the questions whether the way taken computes the right numbers, and whether it waits."""
        way = report.way
        if way is None or (self.device, way) == ("cpu", LOOP):
            return report  # the loop on a CPU is what the others are compared with
        report = replace(report, agreements=self._agreements(way))
        if self.device == "cuda":
            report = replace(report, waits=self._ask("waits", waits.waits, way))
        return report

    def _agreements(self, way: str) -> tuple[Agreement, ...] | Lost:
        # on a CPU each stack's first steps are compared with the loop's anyway, when it is mapped
        asked = [(Name.R1, way)]
        if self.device == "cuda":
            # compiling every game would take minutes; uncompiled, all kernels of libraries are tried
            asked += [(name, way if name in COMPILED else "eager") for name in Name if name != Name.R1]
        return self._ask("agreement", agreement.agreements, asked, self.device)

    def _repetitions(self, way: str) -> tuple[Repetition, ...] | Lost:
        """Of two processes. Diff-augment adds atomically on a GPU."""
        games = (Name.R1, Name.AUGMENTED) if self.device == "cuda" else (Name.R1,)
        found: list[dict[str, str]] = []
        for count in ("first", "second"):
            digests = self._ask(f"repetition, {count}", repetition.digests, games, way, self.device)
            if isinstance(digests, Lost):
                return digests
            found.append(digests)
        return tuple(Repetition(name, way, found[0][name] == found[1][name]) for name in games)

    def _rates(self, report: Report, way: str) -> tuple[Rate, ...] | Lost:
        """On the CPU, and on the GPU where that is the device."""
        on_cpu = [(LOOP, 1)]
        if self._compiles(report):
            on_cpu.append(("compiled", ON_CPU))
        asked = {"cpu": on_cpu}
        if self.device == "cuda":
            asked["cuda"] = [(way, runs) for runs in SIZES]
        measured: list[Rate] = []
        for device, stacks in asked.items():
            rates = self._ask(f"speed on {device}", speed.rates, stacks, device)
            if isinstance(rates, Lost):
                return rates
            measured += rates
        return tuple(measured)

    def _compiles(self, report: Report) -> bool:
        """Whether steps can be compiled for the CPU."""
        if self.device == "cpu":
            return any(way.name == "compiled" and way.works for way in report.ways)
        return not isinstance(report.facts, Lost) and report.facts.cxx_compiler is not None
