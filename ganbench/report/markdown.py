"""The report as Markdown, its tables as CSV and the page as HTML, in one folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ganbench.errors import BadInput
from ganbench.judging.outcomes import Outcome
from ganbench.report import content
from ganbench.report.onsets import onset_texts
from ganbench.report.tables import code, escape, markdown_table
from ganbench.results import Results
from ganbench.storage.atomic import write_atomic
from ganbench.text import interval, number, percent

MOST_FAILURES = 200
"""Failed runs listed in the report; all of them are in runs.csv."""


def write_report(
    results: Results, folder: Path | str, warn: Callable[[str], object] = warnings.warn
) -> list[Path]:
    """Write report.md, summary.csv, runs.csv, evaluations.csv and report.html into `folder`; the paths.

    The page comes last: if it cannot be drawn, `warn` gets the reason, and the other files remain.
    """
    target = Path(folder)
    # before any file is written: an error here leaves an earlier report whole
    text = report_text(results)
    writers: dict[str, Callable[[Path], object]] = {
        # UTF-8 by name: it is not the default on Windows
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
    return [*(target / name for name in writers), *_page(results, target, warn)]


def _page(results: Results, folder: Path, warn: Callable[[str], object]) -> list[Path]:
    """[report.html], or an empty list and a warning."""
    try:
        from ganbench.report.page import write_page  # altair takes a second to import

        return [write_page(results, folder, warn)]
    except OSError as error:
        warn(f"report.html cannot be written to {folder} ({error.strerror}); the tables are written")
        return []
    except Exception as error:  # of any kind: a broken chart must not cost the tables
        warn(f"report.html could not be written: {type(error).__name__}: {error}")
        return []


def report_text(results: Results) -> str:
    """The whole report as Markdown."""
    summary = results.summary()
    sections = [
        f"# {escape(results.name)}",
        _overview(results),
        "## Summary\n\n" + _summary(summary),
        *_further(results),
        "## Failures\n\n" + _failures(results),
        "## Environment\n\n" + _environment(results),
        "## How to reproduce\n\n" + _reproduce(results),
    ]
    if results.warnings:
        sections.append("## Warnings\n\n" + "\n".join(f"- {escape(text)}" for text in results.warnings))
    return "\n\n".join(sections) + "\n"


def _csv(frame: pd.DataFrame, path: Path) -> None:
    # the same line ends, so the same bytes, on every platform
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _overview(results: Results) -> str:
    lines = [content.counts(results)]
    lines += [f"**{escape(what)}** {escape(rest)}" for what, rest in content.cautions(results)]
    ways = content.ways(results)
    rows = [
        [escape(label), escape(ways.get(label, "")), *(escape(value) for value in content.settings(config))]
        for label, config in results.configs.items()
    ]
    if rows:
        headers = ["variant", "trained by", "steps", "batch", "optimizer", "metrics"]
        trained = "was trained" if len(results.runs) else "will be trained"
        lines.append(f"What {trained}:\n\n" + markdown_table(headers, rows, right=(2, 3)))
    lines += map(escape, content.fallbacks(results))
    return "\n\n".join(lines)


def _summary(summary: pd.DataFrame) -> str:
    headers = ["variant", "runs", "failed", "95% interval", "outcomes", "metric", "final", "best", "n"]
    rows = [
        [
            escape(row["variant"]),
            str(row["runs"]),
            f"{row['failures']} ({percent(row['failure_rate'])})",
            f"[{percent(row['failure_low'])}, {percent(row['failure_high'])}]",
            escape(row["outcomes"]),
            escape(f"{row['metric']} ({row['direction']} is better)") if row["metric"] else "–",
            *(_value(row, when) for when in ("final", "best")),
            str(row["n"]),
        ]
        for row in summary.to_dict("records")
    ]
    if not rows:
        return "No run has ended yet."
    return markdown_table(headers, rows, right=(1, 2, 8)) + "\n\n" + content.NOTE


def _further(results: Results) -> Iterator[str]:
    """A section on the metrics other than the main one, if there are any."""
    metrics = content.further_metrics(results)
    rows = [
        [
            escape(f"{metric} ({row['direction']} is better)"),
            escape(row["variant"]),
            *(_value(row, when) for when in ("final", "best")),
            str(row["n"]),
        ]
        for metric in metrics
        for row in results.summary(metric).to_dict("records")
        # empty for variants that do not measure it
        if row["metric"]
    ]
    if rows:
        headers = ["metric", "variant", "final", "best", "n"]
        yield "## Further metrics\n\n" + markdown_table(headers, rows, right=(4,))


def _value(row: Mapping[Any, Any], when: str) -> str:
    return f"{number(row[when])} {interval(row[f'{when}_low'], row[f'{when}_high'])}".strip()


def _failures(results: Results) -> str:
    runs, onsets = results.runs, onset_texts(results)
    failed = runs[runs["outcome"] != Outcome.FINISHED]
    unjudged = escape(content.unjudged(results))
    if failed.empty:
        # where collapse could not be judged, "None." alone would promise too much
        return f"None. {unjudged}".strip() if len(runs) else "No run has ended yet."
    rows = [
        [
            escape(row["variant"]),
            str(row["seed"]),
            escape(row["outcome"]),
            onsets.get(row["key"], "–"),
            "" if pd.isna(row["reason"]) else escape(row["reason"]),
        ]
        for row in failed.head(MOST_FAILURES).to_dict("records")
    ]
    table = markdown_table(["variant", "seed", "outcome", "onset", "reason"], rows, right=(1,))
    rest = len(failed) - len(rows)
    more = f"{rest} more are in runs.csv." if rest > 0 else ""
    return "\n\n".join(filter(None, [table, more, unjudged]))


def _environment(results: Results) -> str:
    tables = [
        markdown_table(["what", "value"], [[escape(k), escape(v)] for k, v in content.leaves(env)])
        for env in results.environments
    ]
    many = f"The runs come from {len(tables)} different environments.\n\n" if len(tables) > 1 else ""
    return many + "\n\n".join(tables) if tables else "Not recorded."


def _reproduce(results: Results) -> str:
    suite = f"{code(content.suite_command(results))} if an installed plugin provides it, else its file"
    command = results.lock.get("command")
    source = f"Command: {code(str(command))}" if command else f"Suite: {suite}"
    seeds = content.seeds(results)
    trained = f"{source}; seeds {seeds}" if seeds else source
    lines = [
        f"- {trained}. Runs already in the results folder are not trained again: choose another with "
        "`--out`.",
        "- `suite.lock.json` holds the resolved suite, defaults included.",
        f"- In Python: {code(content.python_line(results))}",
    ]
    used = content.components(results)
    if used:
        lines.append("- Components: " + ", ".join(escape(item) for item in used))
    return "\n".join(lines)
