"""The top of the page: the findings in sentences, and the summary table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ganbench import stats
from ganbench.judging.outcomes import Outcome
from ganbench.report.page.factors import FACTORS
from ganbench.report.page.sections import Section
from ganbench.results import Results
from ganbench.text import interval, number, percent

HEADLINES = (
    *(f"failures-by-{title}" for title in FACTORS.values()),
    *("failure-rates", "final-values", "comparisons", "survival", "stability-map"),
)
"""The figures whose findings make the summary."""
_WHEN = ("final", "best")


def headlines(results: Results, sections: Sequence[Section]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(topic, [(sentence, id of the figure that shows it)])."""
    # without failures the page has no such section to link to
    failures = "failures" if (results.runs["outcome"] != Outcome.FINISHED).any() else ""
    findings = [(section.title, _findings(section)) for section in sections]
    return [
        ("Runs", [(_outcome(results), failures)]),
        *((title, sentences) for title, sentences in findings if sentences),
    ]


def _findings(section: Section) -> list[tuple[str, str]]:
    """(sentence, id) of the section's figures among `HEADLINES`, in that order."""
    figures = (figure for name in HEADLINES for figure in section.figures if figure.name == name)
    return [(figure.finding, f"figure-{figure.name}") for figure in figures]


def _outcome(results: Results) -> str:
    """How many of all runs failed."""
    count, failed = len(results.runs), int((results.runs["outcome"] != Outcome.FINISHED).sum())
    if not count:
        return "No run has ended yet."
    if not failed:
        return f"All {count} runs finished."
    rate = stats.wilson(failed, count)
    spread = f"95% interval {percent(rate.low)} to {percent(rate.high)}"
    return f"{failed} of {count} runs failed ({percent(failed / count)}, {spread})."


def summary_groups(summary: pd.DataFrame) -> list[tuple[str, list[dict[str, object]]]]:
    """(title, rows as text) for each metric, in order of first appearance."""
    groups: dict[str, list[dict[str, object]]] = {}
    for row in summary.to_dict("records"):
        title = f"{row['metric']} ({row['direction']} is better)" if row["metric"] else "no metric"
        groups.setdefault(title, []).append(_row(row))
    return list(groups.items())


def value_row(row: Mapping[Any, Any]) -> dict[str, object]:
    """Final and best values of a variant as text."""
    return {
        "variant": row["variant"],
        **{when: number(row[when]) for when in _WHEN},
        **{f"{when}_interval": interval(row[f"{when}_low"], row[f"{when}_high"]) for when in _WHEN},
        "n": row["n"],
        "statistic": row["statistic"],
    }


def _row(row: Mapping[Any, Any]) -> dict[str, object]:
    return {
        **value_row(row),
        "failed": f"{row['failures']} of {row['runs']}",
        "rate": percent(row["failure_rate"]),
        "interval": f"{percent(row['failure_low'])}, {percent(row['failure_high'])}",
        # percent; a tenth of it is less than a pixel of the bar
        "bar": {key: round(100 * row[f"failure_{key}"], 1) for key in ("rate", "low", "high")},
        "outcomes": row["outcomes"],
    }
