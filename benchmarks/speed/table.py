"""Measurements as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.speed.cases import CASES
from benchmarks.speed.interleaved import Spread
from benchmarks.speed.throughput import ProbeCost, Single, Throughput


@dataclass
class Results:
    """Everything that one command measured."""

    machine: Mapping[str, str]
    command: str
    differences: dict[str, float] = field(default_factory=dict)
    throughputs: list[Throughput] = field(default_factory=list)
    singles: list[Single] = field(default_factory=list)
    probes: list[ProbeCost] = field(default_factory=list)

    def write(self, path: Path) -> list[Path]:
        """`path`.md and `path`.json."""
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [path.with_name(f"{path.name}.{ending}") for ending in ("md", "json")]
        files[0].write_text(self.markdown(), encoding="utf-8")
        files[1].write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return files

    def markdown(self) -> str:
        """All tables."""
        sections = [
            f"# Speed on {self.machine['device']}",
            f"Made by `{self.command}`. Medians over rounds, with the extremes in brackets.",
            _rows(("machine", ""), self.machine.items()),
            "## Both sides do the same\n\nLargest difference of a parameter after 20 steps in float64.",
            _rows(("case", "difference"), [(case, f"{d:.1e}") for case, d in self.differences.items()]),
            "## Seed-steps per second\n\nThe engine with its probes on, compilation apart; one stack a row.",
            _rows(_THROUGHPUT, map(_throughput, self.throughputs)),
            "## Cut into smaller stacks\n\nThe same runs, one stack after another, at the best stack size.",
            _rows(("case", "runs", "one stack", "best", "stack size"), cuts(self.throughputs)),
            "## A single run from nothing, compilation counted",
            _rows(("case", "way", "steps", "engine s", "by hand s", "ratio"), map(_single, self.singles)),
            "## What the probes cost",
            _rows(("case", "way", "runs", "extra time", "at most"), map(_probe, self.probes)),
        ]
        return "\n\n".join(section for section in sections if section) + "\n"


_THROUGHPUT = ("case", "way", "runs", "engine", "by hand", "ratio", "asked for", "compile s")


def cuts(throughputs: Iterable[Throughput]) -> list[tuple[str, ...]]:
    """For each case and number of runs: as one stack, and cut into the stacks that were quickest."""
    mapped = [t for t in throughputs if not t.way.startswith(("loop", "by hand"))]
    rows: list[tuple[str, ...]] = []
    for whole in mapped:
        parts = [t for t in mapped if t.case == whole.case and whole.runs % t.runs == 0]
        best = max(parts, key=lambda part: part.ratio.median)
        figures = f"{whole.ratio.median:.2f}", f"{best.ratio.median:.2f}"
        rows.append((whole.case, str(whole.runs), *figures, str(best.runs)))
    return rows


def _throughput(row: Throughput) -> tuple[str, ...]:
    case = CASES[row.case]
    asked = row.runs == (1 if case.convolutional else 16) and not row.way.startswith("by hand")
    rates = f"{row.rate.median:,.0f}", f"{row.by_hand.median:,.0f}"
    return (
        row.case, row.way, str(row.runs), *rates, _spread(row.ratio),
        f"{case.target:g}" if asked else "", f"{row.compile:.1f}" if row.compile else "",
    )  # fmt: skip


def _single(row: Single) -> tuple[str, ...]:
    seconds = f"{row.seconds.median:.2f}", f"{row.by_hand.median:.2f}"
    return row.case, row.way, f"{row.steps:,}", *seconds, _spread(row.ratio)


def _probe(row: ProbeCost) -> tuple[str, ...]:
    cost = f"{row.cost.median:+.1%} ({row.cost.low:+.1%} to {row.cost.high:+.1%})"
    return row.case, row.way, str(row.runs), cost, f"{row.limit:.0%}"


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f})"


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, an empty string where it has no rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "| " + " | ".join("---" for _ in head) + " |"
    return "\n".join(["| " + " | ".join(head) + " |", rule, *lines]) if lines else "(not measured)"
