"""The main table of some results for a paper: Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganbench.report.content import NOTE, fallbacks, unjudged
from ganbench.report.listing import Listing
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.text import interval, listed, number, percent, plain_text

_HEADERS = ("runs", "failed", "failure rate [95%]", "outcomes", "final [95%]", "best [95%]", "n")


def summary_listing(results: Results) -> Listing:
    """`Results.summary()` to read: how often each variant failed, and its values."""
    summary, labels = results.summary(), labels_of(results)
    rows: list[dict[Any, Any]] = summary.to_dict("records")
    measured = {row["metric"]: row["direction"] for row in rows if row["metric"]}
    # a single metric goes into the notes, not into every row
    several = len(measured) > 1
    names = ["variant", "metric"] if several else ["variant"]
    better = [f"{plain_text(metric)}: {direction} is better." for metric, direction in measured.items()]
    by = f" by {listed([plain_text(metric) for metric in measured])}" if measured else ""
    return Listing(
        names,
        _HEADERS,
        [
            [*[labels[row["variant"]], plain_text(row["metric"])][: len(names)], *_figures(row)]
            for row in rows
        ],
        [*better, " ".join(NOTE.split()), *filter(None, [unjudged(results)]), *fallbacks(results)],
        summary,
        f"Failure rates and values of {plain_text(results.name)}{by}.",
        f"tab:{results.name}",
    )


def _figures(row: Mapping[Any, Any]) -> list[str]:
    low, high = percent(row["failure_low"]), percent(row["failure_high"])
    return [
        str(row["runs"]),
        str(row["failures"]),
        f"{percent(row['failure_rate'])} [{low}, {high}]",
        row["outcomes"],
        *(
            f"{number(row[when])} {interval(row[f'{when}_low'], row[f'{when}_high'])}".strip()
            for when in ("final", "best")
        ),
        str(row["n"]),
    ]
