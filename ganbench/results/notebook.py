"""Results in a notebook: a title, counts, cautions, the summary."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.text import interval, number, percent, plain_text, plural

if TYPE_CHECKING:
    from ganbench.results.results import Results

ROWS = 60
"""Variants in the table; of more, the first."""
_HEADERS = ("variant", "failed", "outcomes", "metric", "final", "best", "n")
# Inline, because notebook front ends drop style sheets. pre-wrap keeps the spaces of a label.
_STYLE = "text-align:left;vertical-align:top;white-space:pre-wrap"


def shown(results: Results) -> str:
    """HTML without style sheets or scripts, in which names are escaped."""
    runs, summary = results.runs, results.summary()
    failed = int((runs["outcome"] != Outcome.FINISHED).sum())
    where = ", ".join(str(path) for path in results.paths or [results.path])
    counts = f"{plural(len(runs), 'run')} of {plural(len(summary), 'variant')}, {failed:,} failed"
    if results.missing:
        counts += f"; {results.missing:,} more have no result yet"
    lines = [f"<h4>{escape(results.name)}</h4>", f"<p>{escape(counts)} <small>({escape(where)})</small></p>"]
    lines += [f"<p>⚠ {escape(text)}</p>" for text in results.warnings]
    lines.append(_table(summary.head(ROWS)))
    if len(summary) > ROWS:
        lines.append(f"<p>… and {len(summary) - ROWS} more variants: see <code>summary()</code></p>")
    lines.append("<p><small>Failed runs count as worst. Intervals are 95%.</small></p>")
    return "\n".join(lines)


def _table(summary: pd.DataFrame) -> str:
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in _HEADERS)
    rows = (
        "".join(f'<td style="{_STYLE}">{escape(c)}</td>' for c in _cells(row))
        for row in summary.to_dict("records")
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: dict[Any, Any]) -> list[str]:
    low, high = percent(row["failure_low"]), percent(row["failure_high"])
    values = [
        f"{number(row[when])} {interval(row[f'{when}_low'], row[f'{when}_high'])}".strip()
        for when in ("final", "best")
    ]
    metric = f"{row['metric']} ({row['direction']} is better)" if row["metric"] else ""
    return [
        plain_text(row["variant"]),
        f"{row['failures']} of {row['runs']} ({percent(row['failure_rate'])}) [{low}, {high}]",
        row["outcomes"],
        plain_text(metric),
        *values,
        str(row["n"]),
    ]
