"""The sections of a report in order: a question each, and the figures that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ganbench.report.figures import Figure
from ganbench.report.page.factors import FACTORS


@dataclass(frozen=True)
class Section:
    """A question.

    Arguments:
        id: its anchor.
        title: short, for the navigation.
        question: the heading.
        names: of the figures that answer it.
        open: whether it is unfolded.
        figures: the figures that could be drawn.
    """

    id: str
    title: str
    question: str
    names: tuple[str, ...]
    open: bool = False
    figures: Sequence[Figure] = field(default=())


SECTIONS = (
    Section(
        *("ranking", "Ranking", "Which variants are better?"),
        names=("final-values", "comparisons"),
        open=True,
    ),
    Section(
        *("region", "Stable region", "Where is training stable?"),
        names=("stability-map", "sensitivity"),
        open=True,
    ),
    Section(
        *("stability", "Stability", "How often do variants fail?"),
        names=("failure-rates", *(f"failures-by-{title}" for title in FACTORS.values())),
    ),
    Section("failures", "Failures", "How do runs fail?", ("outcomes", "examples", "failed-runs")),
    Section("survival", "Survival", "When do runs fail?", ("survival", "time-to-threshold")),
    Section(
        *("dynamics", "Dynamics", "What did training look like?"),
        names=("metric-curves", "gradient-norms", "logit-gap"),
    ),
    Section("cost", "Cost", "What did it cost?", ("cost",)),
)


def answered(figures: Sequence[Figure]) -> list[Section]:
    """The sections that have figures. Figures that no section names go into a last one, "More"."""
    filled = [
        replace(section, figures=[f for name in section.names for f in figures if f.name == name])
        for section in SECTIONS
    ]
    assigned = {name for section in SECTIONS for name in section.names}
    # so that a new figure is never lost because no section names it
    other = [figure for figure in figures if figure.name not in assigned]
    if other:
        filled.append(Section("more", "More", "What else is there?", (), figures=other))
    return [section for section in filled if section.figures]
