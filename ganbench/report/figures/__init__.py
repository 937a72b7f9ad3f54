"""Charts of results: each with a title, a finding in words and the table of what it draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from ganbench.errors import BadInput, Problem, nearest
from ganbench.report.figures import cost, curves, examples, maps, pairs, rates, spread, times
from ganbench.report.figures.base import Figure, NothingToDraw
from ganbench.report.figures.files import write_figure
from ganbench.report.figures.theme import theme
from ganbench.results import Results

__all__ = ["NAMES", "Figure", "NothingToDraw", "figure", "figures", "theme", "write_figure"]

_MAKERS: dict[str, Callable[..., Figure]] = {
    "failure-rates": rates.failure_rates,
    "outcomes": rates.outcomes,
    "final-values": spread.final_values,
    "comparisons": pairs.comparisons,
    "survival": times.survival,
    "time-to-threshold": times.time_to_threshold,
    "metric-curves": curves.metric_curves,
    "gradient-norms": curves.gradient_norms,
    "logit-gap": curves.logit_gap,
    "examples": examples.examples,
    "stability-map": maps.stability_map,
    "sensitivity": maps.sensitivity,
    "cost": cost.cost,
}
NAMES: tuple[str, ...] = tuple(_MAKERS)
"""All figures, in reading order."""


def figures(results: Results, names: Iterable[str] = NAMES) -> list[Figure]:
    """The figures among `names` that can be drawn from these results, in reading order."""
    drawn = []
    for name in names:
        try:
            drawn.append(_MAKERS[name](results))
        # first, because it is a BadInput too
        except NothingToDraw:
            continue
        except BadInput as refused:  # such as values that cannot be compared: the report should say so
            drawn.append(
                Figure(name, name.capitalize().replace("-", " "), f"{refused}.", None, pd.DataFrame())
            )
    return drawn


def figure(results: Results, name: str, **options: Any) -> Figure:
    """One figure.

    Arguments:
        name: one of NAMES.
        options: of that figure, such as metric="fid".

    Raises BadInput for unknown names, options and metrics, and where there is nothing to draw.
    """
    if name not in _MAKERS:
        raise BadInput(f"there is no figure {name!r}; {nearest(name, NAMES)}")
    # the first parameter is `results`
    taken = list(inspect.signature(_MAKERS[name]).parameters)[1:]
    for option in options:
        if option not in taken:
            raise BadInput(Problem(name, f"this figure has no option {option!r}; {nearest(option, taken)}"))
    return _MAKERS[name](results, **options)
