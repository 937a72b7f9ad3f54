"""The tables as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.collapse.battery import DEVIATIONS, INVISIBLE, REPEATS, Table
from benchmarks.collapse.faults import FAULTS
from benchmarks.collapse.verdicts import BEYOND, BUDGET, EVERY, METRICS, ONSET, Judged

Part = tuple[Table, list[Judged]]


def page(parts: Sequence[Part], command: str) -> str:
    """The whole document."""
    return "\n\n".join([_head(command), *(_section(*part) for part in parts)]) + "\n"


def _head(command: str) -> str:
    faults = "\n".join(f"- {name}: {_sentence(fault.__doc__)}" for name, fault in FAULTS.items())
    return f"""# Which indicator sees which collapse

Made by `{command}`: do not edit. Every number is the same each time, up to rounding.

Generators with a known fault are measured by every metric that looks at samples alone, with its default
options. An indicator **sees** a fault (bold) where its value is worse than all values of healthy resamples,
and than their mean by more than {DEVIATIONS:g} standard deviations; what is not a number is worse than
any number. *Too good* (italic) is a value better than all healthy ones by the same rule: who only asks for
the better value is fooled there. Plain values are blind. A cell is the median of {REPEATS} evaluations;
the first row is the mean and standard deviation of the healthy ones.

The faults:

{faults}"""


def _section(table: Table, verdicts: Sequence[Judged]) -> str:
    count = len(next(iter(table.healthy.values())).values)
    subject = table.subject
    parts = [
        f"## {subject.title}",
        f"{subject.n:,} samples and as many real ones; {count} healthy resamples.",
        _values(table),
        _summary(table),
    ]
    if verdicts:
        taken = " and ".join(name for name in METRICS if name in table.healthy)
        parts += [
            f"Verdicts by the default thresholds, on runs of {BUDGET:,} steps with ordinary gradients, "
            f"evaluated every {EVERY} steps by {taken} alone, and healthy until the fault begins "
            f"at step {ONSET:,}:",
            _verdicts(verdicts),
        ]
    return "\n\n".join(parts)


def _values(table: Table) -> str:
    """Faults x indicators; of those with a ratio to real data, the ratio alone."""
    shown = _shown(table, list(table.healthy))
    rows = [["healthy", *(_range(table, name) for name in shown)]]
    for fault in table.faults:
        rows.append([fault, *(_cell(table, fault, name) for name in shown)])
    return _grid(["", *shown], rows)


def _shown(table: Table, names: Sequence[str]) -> list[str]:
    return [name for name in names if f"{name}-ratio" not in table.healthy]


def _range(table: Table, name: str) -> str:
    values = np.array(table.healthy[name].values)
    spread = f" ± {_short(float(values.std(ddof=1)))}" if len(values) > 1 and values.std() > 0 else ""
    return _short(float(values.mean())) + spread


def _cell(table: Table, fault: str, name: str) -> str:
    mark = {"worse": "**", "better": "*", "": ""}[table.verdict(fault, name)]
    return f"{mark}{_short(table.faults[fault][name])}{mark}"


def _summary(table: Table) -> str:
    rows = []
    for fault in table.faults:
        seen, fooled = (", ".join(_shown(table, table.seen_by(fault, way))) for way in ("worse", "better"))
        nothing = f"nothing: {INVISIBLE[fault]}" if fault in INVISIBLE else "nothing here"
        rows.append([fault, seen or nothing, fooled])
    return _grid(["fault", "seen by", "too good for"], rows)


def _verdicts(verdicts: Sequence[Judged]) -> str:
    rows = []
    for each in verdicts:
        outcome, onset = each.verdict.outcome, each.verdict.onset_step
        reason = each.verdict.reason or BEYOND.get(each.fault, "")
        rows.append([each.fault, outcome, "" if onset is None else f"{onset:,}", reason])
    return _grid(["fault", "verdict", "onset", "reason, or why there is no other verdict"], rows)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _short(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.0e}"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())
