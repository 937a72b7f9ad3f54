"""The page, made from the files of the steps: whatever is missing is said to be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from benchmarks.gpu.rows import BitsRow, Failed, MemoryRow, Row, SuiteRow, read
from benchmarks.gpu.steps import Ended
from benchmarks.speed.throughput import Throughput
from ganbench.report.tables import markdown_table
from ganbench.text import size

R = TypeVar("R")


def page(folder: Path, title: str, machine: Mapping[str, str], ended: Sequence[Ended]) -> str:
    """All tables."""
    sections = [
        f"# {title}",
        "Made by `python -m benchmarks.gpu` from the files in the folder of the same name. Medians over "
        "rounds, with the extremes in brackets. A run-step is one step of one run.",
        markdown_table(["machine", ""], [list(fact) for fact in machine.items()]),
        "## Steps of the command",
        markdown_table(
            ["step", "end", "seconds", "limit"],
            [[one.name, one.end, f"{one.seconds:.0f}", f"{one.limit:.0f}"] for one in ended],
            right=(2, 3),
        ),
        "## ganbench doctor",
        _doctor(folder / "doctor.json"),
        "## Tests that need a GPU",
        _tests(folder / "tests.xml"),
        "## Suites through `ganbench run`",
        _suites([row for name in ("quickstart", "map") for row in read(folder / f"{name}.json")]),
        "## Ring GANs against the hand-written loop",
        _throughputs(read(folder / "rings.json")),
        "## Convolutional GANs by each way",
        _throughputs(read(folder / "images.json")),
        "## Memory of a stack",
        _memory(read(folder / "memory.json")),
        "## Two processes with cold caches",
        _bits(read(folder / "bits.json")),
    ]
    return "\n\n".join(sections) + "\n"


def _doctor(path: Path) -> str:
    """Whether training can go on, by which way, and the advice."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "Not measured."
    lines = [f"* {advice['text']}" for advice in found["advice"]]
    sound = "Training can go on" if found["ok"] else "Training cannot go on"
    return "\n".join([f"{sound}; the way taken is `{found['way']}`.", "", *lines]).strip()


def _tests(path: Path) -> str:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return "Not run to the end."
    suites = list(root.iter("testsuite"))
    counts = {
        name: sum(int(one.get(name, 0)) for one in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = [
        f"* {case.get('classname')}.{case.get('name')}"
        for case in root.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return "\n".join([", ".join(f"{name}: {count}" for name, count in counts.items()), *failed])


def _suites(rows: Sequence[Row]) -> str:
    told = [
        [
            row.suite,
            f"`{' '.join(row.options)}`",
            f"{row.runs:,}",
            f"{row.seconds:.1f}",
            f"{row.run_steps:,.0f}",
            "stopped" if row.code is None else str(row.code),
            _counts(row.outcomes),
            _counts(row.ways),
        ]
        for row in _of(SuiteRow, rows)
    ]
    headers = ["suite", "options", "runs", "seconds", "run-steps a second", "exit code", "outcomes", "ways"]
    return _table(headers, told, rows, right=(2, 3, 4, 5))


def _throughputs(rows: Sequence[Row]) -> str:
    told = [
        [
            row.case,
            row.way,
            f"{row.runs:,}",
            f"{row.rate.median:,.0f}",
            f"{row.by_hand.median:,.0f}",
            f"{row.ratio.median:.2f} ({row.ratio.low:.2f} to {row.ratio.high:.2f})",
            f"{row.compile:.1f}",
        ]
        for row in _of(Throughput, rows)
    ]
    headers = ["case", "way", "runs", "run-steps a second", "by hand", "ratio", "first step s"]
    return _table(headers, told, rows, right=(2, 3, 4, 5, 6))


def _memory(rows: Sequence[Row]) -> str:
    told = [
        [
            row.game,
            row.way,
            f"{row.runs:,}",
            size(row.estimate),
            "not measured" if row.peak is None else size(row.peak),
        ]
        for row in _of(MemoryRow, rows)
    ]
    return _table(["game", "way", "runs", "planned", "at most"], told, rows, right=(2, 3, 4))


def _bits(rows: Sequence[Row]) -> str:
    words = {True: "equal", False: "other", None: "not measured"}
    told = [[row.game, row.way, words[row.equal], row.reason] for row in _of(BitsRow, rows)]
    return _table(["game", "way", "bits", "why not"], told, rows)


def _table(headers: list[str], told: list[list[str]], rows: Sequence[Row], right: Iterable[int] = ()) -> str:
    """The table, and below it what could not be measured."""
    failed = [f"* {row.what}: {row.reason}" for row in _of(Failed, rows)]
    parts = [markdown_table(headers, told, right)] if told else []
    return "\n\n".join([*parts, *(["\n".join(failed)] if failed else [])]) or "Not measured."


def _of(kind: type[R], rows: Sequence[Row]) -> list[R]:
    return [row for row in rows if isinstance(row, kind)]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
