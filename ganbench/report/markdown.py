"""The report as Markdown, with its tables as CSV beside it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ganbench._version import __version__
from ganbench.errors import BadInput
from ganbench.files import write_atomic
from ganbench.frames import Results
from ganbench.report.tables import code, escape, interval, markdown_table, number, percent

MOST_FAILURES = 200
"""Failed runs listed in the report; all of them are in runs.csv."""

_NOTE = """\
A failure is whatever did not finish. Failure rates have Wilson intervals. Values are the interquartile mean
(IQM) over seeds, the median below 4 runs, with a percentile bootstrap interval over the n runs, which is too
narrow for small n (coverage .84 at n = 5, .93 at n = 10). Failed runs are not left out: they rank worst, so
∞ or -∞ says that too many failed."""


def write_report(results: Results, folder: Path | str) -> list[Path]:
    """Write report.md, summary.csv, runs.csv and evaluations.csv into `folder`; the paths written."""
    target = Path(folder)
    text = report_text(results)
    writers: dict[str, Callable[[Path], object]] = {
        "report.md": lambda path: path.write_text(text, encoding="utf-8"),
        "summary.csv": lambda path: _csv(results.summary(), path),
        "runs.csv": lambda path: _csv(results.runs, path),
        "evaluations.csv": lambda path: _csv(results.evaluations, path),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, write in writers.items():
            write_atomic(target / name, write)
    except OSError as error:
        raise BadInput(f"the report cannot be written to {target} ({error.strerror})") from None
    return [target / name for name in writers]


def report_text(results: Results) -> str:
    """The whole report."""
    summary = results.summary()
    sections = [
        f"# {escape(results.name)}",
        _overview(results),
        "## Summary\n\n" + _summary(summary),
        "## Failures\n\n" + _failures(results.runs),
        "## Environment\n\n" + _environment(results),
        "## How to reproduce\n\n" + _reproduce(results),
    ]
    if results.warnings:
        sections.append("## Warnings\n\n" + "\n".join(f"- {escape(text)}" for text in results.warnings))
    return "\n\n".join(sections) + "\n"


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _overview(results: Results) -> str:
    runs = results.runs
    variants, seeds = runs["variant"].nunique(), runs["seed"].nunique()
    lines = [
        f"{len(runs)} runs: {variants} variants, {seeds} different seeds. Written by ganbench {__version__}."
    ]
    if results.missing:
        lines.append(
            f"**{results.missing} runs of the suite have no result yet** and are not in these tables."
        )
    for name in ("device", "executor", "mapper"):
        used = runs[name].dropna().unique()
        if len(used) > 1:
            listed = ", ".join(escape(value) for value in sorted(used))
            lines.append(
                f"**Mixed {name}s** ({listed}): runs of different ones differ by rounding, then by chaos."
            )
    rows = [
        [escape(label), *(escape(value) for value in _settings(config))]
        for label, config in results.configs.items()
    ]
    if rows:
        headers = ["variant", "steps", "batch", "optimizer", "metrics"]
        lines.append("What was trained:\n\n" + markdown_table(headers, rows, right=(1, 2)))
    return "\n\n".join(lines)


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    """Steps, batch, optimizer, metrics of a resolved variant."""
    yield str(config.get("steps", ""))
    yield str(config.get("batch", ""))
    optimizers = config.get("optimizer") or {}
    told = {p: f"{o.get('name')} lr={o.get('lr')}" for p, o in optimizers.items() if isinstance(o, Mapping)}
    same = len(set(told.values())) == 1
    yield (
        next(iter(told.values())) if same else ", ".join(f"{player}: {text}" for player, text in told.items())
    )
    metrics = (config.get("evaluate") or {}).get("metrics", ())
    yield ", ".join(str(metric.get("name", "")) for metric in metrics)


def _summary(summary: pd.DataFrame) -> str:
    headers = ["variant", "runs", "failed", "95% interval", "outcomes", "metric", "final", "best", "n"]
    rows = [
        [
            escape(row["variant"]),
            str(row["runs"]),
            f"{row['failures']} ({percent(row['failure_rate'])})",
            f"[{percent(row['failure_low'])}, {percent(row['failure_high'])}]",
            escape(row["outcomes"]),
            escape(f"{row['metric']} ({row['direction']} is better, {row['statistic']})")
            if row["metric"]
            else "–",
            *(_value(row, when) for when in ("final", "best")),
            str(row["n"]),
        ]
        for row in summary.to_dict("records")
    ]
    return markdown_table(headers, rows, right=(1, 2, 8)) + "\n\n" + _NOTE


def _value(row: Mapping[Any, Any], when: str) -> str:
    return f"{number(row[when])} {interval(row[f'{when}_low'], row[f'{when}_high'])}".strip()


def _failures(runs: pd.DataFrame) -> str:
    failed = runs[runs["outcome"] != "finished"]
    if failed.empty:
        return "None." if len(runs) else "No run has ended yet."
    rows = [
        [
            escape(row["variant"]),
            str(row["seed"]),
            escape(row["outcome"]),
            "–" if pd.isna(row["onset_step"]) else str(row["onset_step"]),
            "" if pd.isna(row["reason"]) else escape(row["reason"]),
        ]
        for row in failed.head(MOST_FAILURES).to_dict("records")
    ]
    table = markdown_table(["variant", "seed", "outcome", "onset step", "reason"], rows, right=(1, 3))
    rest = len(failed) - len(rows)
    return f"{table}\n\n{rest} more are in runs.csv." if rest > 0 else table


def _environment(results: Results) -> str:
    tables = [
        markdown_table(["what", "value"], [[escape(k), escape(v)] for k, v in _flat(env)])
        for env in results.environments
    ]
    many = f"The runs come from {len(tables)} different environments.\n\n" if len(tables) > 1 else ""
    return many + "\n\n".join(tables) if tables else "Not recorded."


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """("a.b", text) of each leaf."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item if isinstance(item, str) else json.dumps(item)


def _reproduce(results: Results) -> str:
    runs = results.runs
    seeds = ", ".join(str(seed) for seed in sorted(runs["seed"].unique()))
    used = sorted({f"{k} {v}" for text in runs["versions"].dropna().unique() for k, v in _versions(text)})
    command = results.lock.get("command")
    lines = [f"- Command: {code(str(command))}"] if command else []
    lines += [
        f"- Suite: {code(f'ganbench run {shlex.quote(results.name)}')}, or its file; seeds {seeds}. "
        "Runs already in the results folder are not trained again: give another one with `--out`.",
        "- Everything that was resolved from the suite, defaults included, is in `suite.lock.json`.",
        f"- In Python: {code(f'ganbench.load({str(results.path)!r}).runs')}",
    ]
    if used:
        lines.append("- Components: " + ", ".join(escape(item) for item in used))
    return "\n".join(lines)


def _versions(text: str) -> Iterator[tuple[str, str]]:
    """(component, distribution and version) from a run's column `versions`."""
    try:
        found = json.loads(text)
    except ValueError:
        return
    if isinstance(found, dict):
        yield from ((str(key), str(value)) for key, value in found.items())
