"""The type of a figure, and what all figures share: labels, selections, tooltips, rows as plain data."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench.errors import BadInput
from ganbench.judging.outcomes import Outcome
from ganbench.report.figures.theme import COLOURS, DASHES, theme
from ganbench.results import Results
from ganbench.text import plain_text, shorten, wrap_label

DIGITS = 4
"""Significant digits of the numbers drawn: more than an eye can see, a third of the bytes."""
SERIES = 6
"""Lines in one chart that colours distinguish; more variants get a small chart each."""
LINES = 12
"""Variants drawn as lines in a figure."""
ROWS = 30
"""Variants drawn as rows of one chart."""
FEW = 3
"""With more variants as lines, a band is drawn only for those chosen in the legend."""
MARGIN = 100
"""Pixels that axes with numbers take beside a chart."""
COLUMNS, GAP, NARROWEST = 3, 75, 230
"""Small charts in a row at most, the pixels beside each, and the pixels that one and its title take."""
ROW_MARGIN = 215
"""Pixels that the names of variants take beside a chart."""
ROW = 30
"""Height in pixels of a row: two lines of a name, and some air."""
_LINE = 12
"""Height in pixels of a line of a name."""
FAINT = 0.12  # opacity of what is not chosen in the legend
CROSS = "M-.7-.7L.7.7M.7-.7L-.7.7"
"""The mark of a failed run, as an SVG path."""


def _in_lines(text: str, width: int) -> str:
    """A Vega expression: a long text in several lines, if possible broken after a mark."""
    # Vega does not wrap text, but draws an array as lines
    pattern = f"(.{{1,{width}}}$|.{{1,{width - 1}}}[/+, ]|.{{{width}}})"
    return f"split(trim(replace({text}, regexp('{pattern}', 'g'), '$1\\n')), '\\n')"


class NothingToDraw(BadInput):
    """These results have nothing for this figure; the message says what is missing."""


@dataclass(frozen=True)
class Figure:
    """A chart, the finding it shows, and the numbers drawn.

    Arguments:
        name: such as "failure-rates"; also the stem of files.
        title: plain text.
        finding: a plain sentence or two, with numbers.
        chart: None if there is only a table.
        table: exactly the numbers drawn.
    """

    name: str
    title: str
    finding: str
    chart: alt.TopLevelMixin | None = field(repr=False)
    table: pd.DataFrame = field(repr=False)

    def spec(self, dark: bool | None = None) -> dict[str, Any]:
        """The chart as Vega-Lite JSON; without `dark` it has no config, for a page that passes its own.

        Single charts are as wide as their container. Charts of several panels take
        `config.view.continuousWidth`: the width of the whole less `usermeta.margin`.
        """
        if self.chart is None:
            raise NothingToDraw(f"the figure {self.name!r} is a table")
        # the tests validate every chart; the report need not do it again
        spec: dict[str, Any] = self.chart.to_dict(validate=False)
        # Altair's own config would override the theme of the page
        spec.pop("config", None)
        spec["description"] = f"{self.title}. {self.finding}"
        return spec if dark is None else spec | {"config": theme(dark)}

    # Jupyter calls this to show the last value of a cell
    def _repr_mimebundle_(self, *args: object, **kwargs: object) -> object:
        if self.chart is None:
            return {"text/plain": self.finding, "text/html": self.table.to_html(escape=True)}
        return self.chart._repr_mimebundle_(*args, **kwargs)


# no ==: a frame compared with another has no truth value
@dataclass(frozen=True, eq=False)
class Task:
    """Variants whose values are comparable: the same metric on the same data.

    Arguments:
        name: the metric, with the data set if there are several; plain text.
        summary: the rows of `Results.summary` of these variants.
    """

    name: str
    metric: str
    direction: str
    summary: pd.DataFrame

    def best_first(self) -> list[str]:
        """Variants by their final values with failed runs as worst, then by how few failed."""
        sign = -1.0 if self.direction == "higher" else 1.0
        keyed = self.summary.assign(_ranked=sign * self.summary["ranked"])
        return keyed.sort_values(["_ranked", "failure_rate"], kind="stable")["variant"].tolist()


def tasks(results: Results, metric: str | None = None) -> list[Task]:
    """The tasks of these results, by a metric or else by each variant's own, in the order of the suite."""
    summary = results.summary(metric)
    summary = summary[summary["metric"] != ""]
    on = results.runs.drop_duplicates("variant").set_index("variant")["dataset"]
    datasets = summary["variant"].map(on).fillna("").astype(str)
    groups = []
    # not sorted: the suite's author chose the order
    for (name, dataset), rows in summary.groupby(["metric", datasets], sort=False):
        title = shorten(plain_text(f"{name} of {dataset}" if datasets.nunique() > 1 else name), 60)
        groups.append(Task(title, str(name), str(rows["direction"].iloc[0]), rows))
    return groups


def values(rows: Iterable[Mapping[str, object]]) -> alt.InlineData:
    """Rows as inline data. Numbers are rounded; NaN and infinities become null."""
    return alt.InlineData(values=[{name: _plain(cell) for name, cell in row.items()} for row in rows])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, each as column -> cell."""
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def layers(*charts: alt.Chart) -> alt.LayerChart:
    """Charts on top of each other."""
    return alt.LayerChart(layer=list(charts))


def _plain(cell: object) -> object:
    if isinstance(cell, list | tuple):
        return [_plain(item) for item in cell]
    # by identity: pd.NA == anything is pd.NA, which has no truth value
    if cell is None or cell is pd.NA:
        return None
    # numpy scalars, which `json` cannot write
    if hasattr(cell, "item"):
        cell = cell.item()
    if isinstance(cell, float):
        return rounded(cell)
    return cell


def rounded(number: float) -> float | int | None:
    """`DIGITS` significant digits; None where it is not finite."""
    if not math.isfinite(number):
        return None
    short = float(f"{number:.{DIGITS}g}")
    # "1" is shorter than "1.0"; from 2**53, about 9e15, floats skip whole numbers
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def ends(variants: Sequence[str], limit: int) -> list[str]:
    """The first and the last of them, `limit` in all."""
    if len(variants) <= limit:
        return list(variants)
    # of an odd limit the first half gets one more
    head = (limit + 1) // 2
    return [*variants[:head], *variants[len(variants) - (limit - head) :]]


def most_failures_first(runs: pd.DataFrame) -> list[str]:
    """Variants by the share of their runs that failed."""
    finished = (
        (runs["outcome"] == Outcome.FINISHED).groupby(runs["variant"], sort=False, observed=True).mean()
    )
    return [str(variant) for variant in finished.sort_values(kind="stable").index]


def left_out(drawn: int, all_: int, order: str) -> str:
    """A sentence if only some variants are drawn, else ""."""
    if drawn >= all_:
        return ""
    return f" The chart shows {drawn} of {all_} variants: the first and the last by {order}."


def row_axis(field_name: str = "row") -> alt.Y:
    """Variants as rows, by the field `order`; long names take several lines, around the row's middle."""
    lines = "split(datum.value, '\\n')"
    up = f"{-_LINE / 2:g} * (length({lines}) - 1)"
    # only a condition's expression knows the label, datum.value; so its test is always true
    offset: Any = {"condition": {"test": "true", "expr": up}, "value": 0}
    return alt.Y(
        f"{field_name}:N",
        title=None,
        # a row has several marks, so Vega-Lite needs an aggregate of their equal `order`
        sort=alt.EncodingSortField(field="order", op="min", order="ascending"),
        axis=alt.Axis(labelExpr=lines, labelLineHeight=_LINE, labelOffset=offset),
    )


def row_step(rows: Iterable[Mapping[str, object]], least: int = ROW) -> alt.Step:
    """The height of a row: room for the lines of the longest name."""
    lines = max((str(row["row"]).count("\n") + 1 for row in rows), default=1)
    return alt.Step(max(least, lines * _LINE + 6))


def stacked(charts: Sequence[alt.LayerChart], margin: int = MARGIN) -> alt.TopLevelMixin:
    """Charts below each other; a single one is as wide as its container.

    Arguments:
        margin: pixels beside the charts that their axes take; a page reads it as `usermeta.margin`.
    """
    # of several panels none can be as wide as its container: Vega-Lite allows that for one view only
    if len(charts) == 1:
        return charts[0].properties(width="container")
    return alt.vconcat(*charts, spacing=16, usermeta={"margin": margin})


def picked(field_name: str = "label") -> alt.Parameter:
    """Clicks on the legend choose what is not dimmed; shift adds."""
    return alt.selection_point(name="picked", fields=[field_name], bind="legend")


def dim(param: alt.Parameter, full: float = 1.0, faint: float = FAINT) -> Any:
    """Opacity: full if chosen, or if nothing is."""
    return alt.when(param).then(alt.value(full)).otherwise(alt.value(faint))


def legend_columns(wide_page: int, phone: int) -> alt.ExprRef:
    """Legend entries in a row, by the width of the window."""
    return alt.ExprRef(f"windowSize()[0] > 1000 ? {wide_page} : {phone}")


def looks(labels: Sequence[str], everyone: Sequence[str]) -> dict[str, Any]:
    """Encodings that distinguish the lines of variants, `SERIES` at most: colour, and dash.

    Arguments:
        labels: of the variants drawn.
        everyone: of all variants, whose order gives each its look in all figures.
    """
    legend = alt.Legend(
        title=None,
        values=list(labels),
        labelExpr=_in_lines("datum.label", 36),
        columns=legend_columns(*((3, 1) if max(map(len, labels)) > 24 else (5, 2))),
        symbolType="stroke",
        symbolOpacity=1,
        symbolSize=320,
    )
    domain = _places(labels, everyone)
    dashes = [DASHES[i % len(DASHES)] for i in range(len(domain))]
    return {
        "color": alt.Color("label:N", scale=alt.Scale(domain=domain), legend=legend),
        "strokeDash": alt.StrokeDash("label:N", scale=alt.Scale(domain=domain, range=dashes), legend=legend),
    }


def _places(labels: Sequence[str], everyone: Sequence[str]) -> list[str]:
    """The domain of the scale: each label drawn at its colour's index; on a clash, at the next free one."""
    at = {label: index % COLOURS for index, label in enumerate(everyone)}
    taken: dict[int, str] = {}
    for label in labels:
        place = at[label]
        while place in taken:
            place = (place + 1) % COLOURS
        taken[place] = label
    # places below the highest one need some label, though nothing is drawn with it
    others = (label for label in everyone if label not in labels)
    return [taken[place] if place in taken else next(others) for place in range(max(taken) + 1)]


def small_multiples(groups: Mapping[str, Sequence[alt.LayerChart]]) -> alt.VConcatChart:
    """Groups of small charts below each other: title -> charts on the same axes, a few in a row.

    A page and a file fit them into their width by `usermeta`.
    """
    rows = [
        alt.concat(*charts, columns=COLUMNS, spacing=12, title=alt.TitleParams(broken(title))).resolve_scale(
            x="shared", y="shared"
        )
        for title, charts in groups.items()
    ]
    fitting = {"margin": 0, "columns": COLUMNS, "gap": GAP, "least": NARROWEST}
    return alt.vconcat(*rows, spacing=24, usermeta=fitting)


def small_title(label: str) -> alt.TitleParams:
    """The title of a small chart: its variant."""
    return alt.TitleParams(wrap_label(label).split("\n"), fontSize=11, fontWeight="normal")


def step_axis(last: float, title: str | None = "step", ticks: int = 6) -> alt.X:
    """Steps from 0 to `last`, which has a label of its own."""
    every = _round(last / ticks)
    # a round step right before the last one would hide under its label
    shown = [tick for tick in np.arange(0, last, every).tolist() if tick <= last - 0.6 * every]
    axis = alt.Axis(values=[*shown, last], format=",~d")
    return alt.X("step:Q", title=title, scale=alt.Scale(domain=[0, last], nice=False), axis=axis)


def _round(number: float) -> int:
    """The next whole number of the form 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(max(1.0, number)))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= number)


def tips(**fields: str) -> list[alt.Tooltip]:
    """Tooltip lines: title=field. Titles are ours; names from results are only ever values."""
    return [alt.Tooltip(spec, title=title.replace("_", " ")) for title, spec in fields.items()]


def wide(span: Iterable[float], decades: float = 2.0) -> bool:
    """True if positive numbers span more than this many decades: a logarithmic axis shows them better."""
    finite = [number for number in span if math.isfinite(number)]
    return bool(finite) and min(finite) > 0 and math.log10(max(finite) / min(finite)) > decades


def scale_kind(log: bool) -> dict[str, Any]:
    """Options of a scale that ends at its first and last value."""
    return {"type": "log"} if log else {"type": "linear", "zero": False}


def broken(text: str, width: int = 44) -> list[str]:
    """A title in lines short enough for a narrow chart."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def value_axis(numbers: Iterable[float], title: str, decades: float = 2.0) -> dict[str, Any]:
    """Scale, axis and title of a quantity: logarithmic if it spans more than `decades`."""
    finite = [number for number in numbers if math.isfinite(number)]
    if not wide(finite, decades):
        return {"scale": alt.Scale(zero=False), "axis": alt.Axis(tickCount=5), "title": broken(title)}
    # decades around the values; `wide` made sure that all are positive
    first, last = math.floor(math.log10(min(finite))), math.ceil(math.log10(max(finite)))
    # powers of ten, at most 8 of them: more would overlap
    lines = [10.0**power for power in range(first, last + 1, max(1, (last - first) // 7))]
    axis = alt.Axis(values=lines, format="~g" if first > -4 and last < 6 else ".0e")
    return {"scale": alt.Scale(type="log", nice=last - first < 8), "axis": axis, "title": broken(title)}
