"""The top of the page: the findings in sentences, and the summary table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ganbench import stats
from ganbench.judging.outcomes import Outcome
from ganbench.report.figures import Figure
from ganbench.report.page.factors import ALPHA, FACTORS
from ganbench.report.page.sections import Section
from ganbench.results import Results
from ganbench.text import interval, number, percent

HEADLINES = {
    "final-values": "Quality",
    "comparisons": "Comparisons",
    "survival": "Survival",
    "stability-map": "Stable region",
}
"""The figures whose findings come after the verdict, and what each is about."""
LEVEL = 0.95
_WHEN = ("final", "best")
# a sentence, and the id of what shows it
Sentence = tuple[str, str]


@dataclass(frozen=True)
class Overview:
    """The findings in sentences, the most important first.

    Arguments:
        verdict: how many runs failed, and the clearest difference.
        further: (topic, sentence) of other questions.
    """

    verdict: Sequence[Sentence]
    further: Sequence[tuple[str, Sentence]]


def overview(results: Results, sections: Sequence[Section]) -> Overview:
    """What the results say, from the findings of the figures in these sections."""
    # without failures the page has no such section to link to
    failures = "failures" if (results.runs["outcome"] != Outcome.FINISHED).any() else ""
    figures = {figure.name: figure for section in sections for figure in section.figures}
    clearest = _clearest_first(figures)
    told = [*clearest, *(figures[name] for name in HEADLINES if name in figures)]
    if not clearest and failures and "failure-rates" in figures:
        clearest = [figures["failure-rates"]]
    first = [_sentence(figure) for figure in clearest[:1]]
    further = [
        (HEADLINES.get(figure.name, "Stability"), _sentence(figure))
        for figure in told
        if figure not in clearest[:1]
    ]
    return Overview([(_outcome(results), failures), *first], further)


def _clearest_first(figures: Mapping[str, Figure]) -> list[Figure]:
    """The factors, such as the loss, whose levels fail significantly differently, by their p."""
    p = {
        name: float(figures[name].table["p_against_least"].min())
        for name in (f"failures-by-{title}" for title in FACTORS.values())
        if name in figures
    }
    return [figures[name] for name in sorted(p, key=p.__getitem__) if p[name] <= ALPHA]


def _sentence(figure: Figure) -> Sentence:
    return figure.finding, f"figure-{figure.name}"


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


def summary_groups(
    summary: pd.DataFrame, datasets: Mapping[str, str]
) -> list[tuple[str, list[dict[str, object]]]]:
    """(title, rows as text) for each metric, in order of first appearance. `datasets`: of the variants."""
    groups: dict[str, list[dict[str, object]]] = {}
    for row in summary.to_dict("records"):
        title = f"{row['metric']} ({row['direction']} is better)" if row["metric"] else "no metric"
        groups.setdefault(title, []).append({**_row(row), "dataset": datasets[row["variant"]]})
    return list(groups.items())


def value_row(row: Mapping[Any, Any]) -> dict[str, object]:
    """Final and best values of a variant as text."""
    return {
        "variant": row["variant"],
        **{when: number(row[when]) for when in _WHEN},
        **{f"{when}_interval": interval(row[f"{when}_low"], row[f"{when}_high"]) for when in _WHEN},
        "n": row["n"],
        # a note only where there are too few runs for 95%
        "level": percent(row["level"]) if row["level"] < LEVEL else "",
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
