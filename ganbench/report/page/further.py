"""Metrics other than the main one: a table and a figure each, folded after the first few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ganbench.report.content import further_metrics
from ganbench.report.figures import Figure, NothingToDraw, figure
from ganbench.report.page.overview import value_row
from ganbench.results import Results

OPEN = 3
"""Metrics that are shown unfolded."""


@dataclass(frozen=True)
class Further:
    """One metric.

    Arguments:
        id: its anchor, and the end of its figure's name.
        direction: "higher" or "lower" (is better).
        rows: a row of text a variant.
        figure: its values over training; None if it could not be drawn.
        open: whether it is unfolded.
    """

    id: str
    metric: str
    direction: str
    rows: Sequence[Mapping[str, object]]
    figure: Figure | None
    open: bool


def further(results: Results, warn: Callable[[str], object]) -> Iterator[Further]:
    """Every metric that is not the main one of all variants that measure it."""
    for index, (metric, slug) in enumerate(_slugs(further_metrics(results)).items()):
        summary = results.summary(metric)
        rows = summary[summary["metric"] == metric]
        yield Further(
            slug,
            metric,
            str(rows["direction"].iloc[0]),
            [value_row(row) for row in rows.to_dict("records")],
            _curves(results, metric, slug, warn),
            index < OPEN,
        )


def _curves(results: Results, metric: str, slug: str, warn: Callable[[str], object]) -> Figure | None:
    try:
        return replace(figure(results, "metric-curves", metric=metric), name=f"metric-curves-{slug}")
    except NothingToDraw:
        return None
    except Exception as error:  # a broken figure must not cost the page
        warn(f"the figure of {metric} could not be drawn: {type(error).__name__}: {error}")
        return None


def _slugs(metrics: Sequence[str]) -> dict[str, str]:
    """Metric -> a unique name of letters, digits and hyphens."""
    slugs: dict[str, str] = {}
    for metric in metrics:
        slug = re.sub("[^a-z0-9]+", "-", metric.lower()).strip("-") or "metric"
        # names may differ in case or punctuation only, such as "fid" and "FID"
        slugs[metric] = f"{slug}-{len(slugs) + 1}" if slug in slugs.values() else slug
    return slugs
