"""Where training is stable: maps of swept options, and the effect of each option."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import altair as alt
import numpy as np
import pandas as pd

from ganbench.errors import BadInput, nearest
from ganbench.report.figures.base import (
    Figure,
    NothingToDraw,
    layers,
    records,
    scale_kind,
    stacked,
    tips,
    values,
)
from ganbench.results import Results
from ganbench.text import listed, percent, plain_text, setting

_SETTING = ".6~g"
"""`text.setting` for axes: without a number of digits, logarithmic axes show twelve."""
_TEXT_UP_TO = 10
"""Columns of a map whose cells have room for text."""


def stability_map(results: Results, x: str | None = None, y: str | None = None) -> Figure:
    """The share of runs that finished, over one or two swept options."""
    swept = _swept(results)
    for name in filter(None, (x, y)):
        if name not in swept:
            raise BadInput(f"no variant sweeps {name!r}; {nearest(name, swept)}")
    if not swept:
        raise NothingToDraw("no option was swept")
    if x is None:
        x, y = swept[0], (swept[1] if len(swept) > 1 else None)
    table = results.stability_map(x, y)
    if table.empty:
        raise NothingToDraw(f"no run swept {x!r}" + (f" and {y!r} together" if y else ""))
    finding = _finding(table, x, y)
    title = f"Stable share of runs by {plain_text(x)}" + (f" and {plain_text(y)}" if y else "")
    chart = stacked([_curve(table, x)]) if y is None else _map(table, x, y)
    return Figure("stability-map", title, finding, chart, table)


def _swept(results: Results) -> list[str]:
    """Options with more than one value among the runs."""
    entries = results.lock.get("variants", ())
    names = dict.fromkeys(str(path) for entry in entries for path in entry.get("swept") or {})
    return [name for name in names if name in results.runs and results.runs[name].nunique() > 1]


def _finding(table: pd.DataFrame, x: str, y: str | None) -> str:
    """The share of runs that finished, and the region in which all of them did."""
    runs, stable = int(table["runs"].sum()), int(table["stable"].sum())
    whole = table[table["share"] == 1.0]
    text = (
        f"{stable} of {runs} runs finished ({percent(stable / runs)}); all runs finished at {len(whole)} of "
        f"{len(table)} swept points"
    )
    if len(whole):
        spans = [_span(whole, table, column, name) for column, name in (("x", x), ("y", y)) if name]
        text += "".join(f", all with {span}" for span in filter(None, spans))
    return f"{text}; n = {int(table['runs'].min())} runs per point."


def _span(rows: pd.DataFrame, table: pd.DataFrame, column: str, name: str) -> str:
    """The range of values in `rows`; empty if it is the whole range that was swept."""
    low, high = float(rows[column].min()), float(rows[column].max())
    if (low, high) == (float(table[column].min()), float(table[column].max())):
        return ""
    option = plain_text(name)
    return f"{option} = {setting(low)}" if low == high else f"{option} from {setting(low)} to {setting(high)}"


def logspaced(points: Iterable[float]) -> bool:
    """True if positive values are spaced by ratio rather than by difference."""
    distinct = np.sort(np.unique(np.array(list(points), dtype=np.float64)))
    # two values have no pattern: a factor of ten or more counts as logarithmic
    if len(distinct) < 3 or distinct[0] <= 0:
        return bool(len(distinct) == 2 and distinct[0] > 0 and distinct[1] / distinct[0] >= 10)
    # the spacing that varies less, relative to its mean, is the one that was meant
    ratios, steps = np.diff(np.log(distinct)), np.diff(distinct)
    return float(np.std(ratios) / np.mean(ratios)) < float(np.std(steps) / np.mean(steps))


def edges(points: Iterable[float], log: bool) -> dict[float, tuple[float, float]]:
    """Each value -> the ends of its cell: half-way to its neighbours, geometrically on a log scale."""
    distinct = np.sort(np.unique(np.array(list(points), dtype=np.float64)))
    at = np.log(distinct) if log else distinct
    if len(at) == 1:
        middles = np.array([at[0] - 0.5, at[0] + 0.5])
    else:
        between = (at[1:] + at[:-1]) / 2
        # the outermost cells reach as far outwards as inwards
        middles = np.concatenate([[2 * at[0] - between[0]], between, [2 * at[-1] - between[-1]]])
    if log:
        middles = np.exp(middles)
    return {float(v): (float(a), float(b)) for v, (a, b) in zip(distinct, pairwise(middles), strict=True)}


def _axis(points: Iterable[float], log: bool) -> tuple[alt.Scale, alt.Axis]:
    cells = edges(points, log)
    ends_ = [min(low for low, _ in cells.values()), max(high for _, high in cells.values())]
    marks = _marks(cells)
    scale = alt.Scale(domain=ends_, nice=False, **scale_kind(log))
    return scale, alt.Axis(values=marks, format=_SETTING, grid=False, labelOverlap=True)


def _marks(points: Iterable[float]) -> list[float]:
    """At most nine of the values, for an axis."""
    ordered = sorted(float(point) for point in points)
    # every second, third, ... value, so that distances stay even
    return ordered[:: max(1, -(-len(ordered) // 9))]


def _cells(table: pd.DataFrame, x: str, y: str, log_x: bool, log_y: bool) -> list[dict[str, object]]:
    """The cells of a map: their edges, their middles and their texts."""
    in_x, in_y = edges(table["x"], log_x), edges(table["y"], log_y)
    rows: list[dict[str, object]] = []
    for row in records(table):
        (left, right), (low, high) = in_x[float(row["x"])], in_y[float(row["y"])]
        at = {name: setting(row[name]) for name in ("x", "y")}
        rows.append(
            {
                **{name: row[name] for name in ("x", "y", "runs", "stable", "share")},
                **{f"{name}_text": text for name, text in at.items()},
                **{"left": left, "right": right, "bottom": low, "top": high},
                # the geometric middle is in the middle of a cell on a logarithmic axis
                "mx": math.sqrt(left * right) if log_x else (left + right) / 2,
                "my": math.sqrt(low * high) if log_y else (low + high) / 2,
                "text": f"{100 * row['share']:.0f}",
                "finished": f"{row['stable']} of {row['runs']}",
                "spoken": f"{x} {at['x']}, {y} {at['y']}: {row['stable']} of {row['runs']} finished",
            }
        )
    return rows


def _map(table: pd.DataFrame, x: str, y: str) -> alt.LayerChart:
    """Two swept options: a cell for each pair of values, coloured by the share of finished runs."""
    log_x, log_y = logspaced(table["x"]), logspaced(table["y"])
    (scale_x, axis_x), (scale_y, axis_y) = _axis(table["x"], log_x), _axis(table["y"], log_y)
    base = alt.Chart(values(_cells(table, x, y, log_x, log_y))).encode(
        description="spoken:N",
        tooltip=tips(
            x="x_text:N",
            y="y_text:N",
            finished="finished:N",
            share="share:Q",
        ),
    )
    cells = base.mark_rect(stroke="#80889040", strokeWidth=0.5).encode(
        x=alt.X("left:Q", scale=scale_x, axis=axis_x, title=plain_text(x)),
        x2="right:Q",
        y=alt.Y("bottom:Q", scale=scale_y, axis=axis_y, title=plain_text(y)),
        y2="top:Q",
        color=alt.Color(
            "share:Q",
            scale=alt.Scale(domain=[0, 0.5, 1], range="ramp"),
            legend=alt.Legend(title="finished", format="%", gradientLength=120, tickCount=3),
        ),
    )
    drawn = [cells]
    if table["x"].nunique() <= _TEXT_UP_TO:
        text = base.mark_text(fontSize=10).encode(
            x=alt.X("mx:Q", scale=scale_x), y=alt.Y("my:Q", scale=scale_y), text="text:N"
        )
        drawn.append(text)
    return layers(*drawn).properties(width="container", height=360)


def _curve(table: pd.DataFrame, x: str) -> alt.LayerChart:
    """One swept option: share of finished runs with its interval."""
    log = logspaced(table["x"])
    marks = _marks(table["x"].unique())
    rows = [
        {**row, "finished": finished, "x_text": x_text, "spoken": f"{x} {x_text}: {finished} finished"}
        for row in records(table)
        for finished, x_text in [(f"{row['stable']} of {row['runs']}", setting(row["x"]))]
    ]
    axis = alt.X(
        "x:Q",
        title=plain_text(x),
        scale=alt.Scale(nice=False, padding=12, **scale_kind(log)),
        axis=alt.Axis(values=marks, format=_SETTING, labelOverlap=True),
    )
    scale = alt.Scale(domain=[0, 1])
    title = "runs that finished, with 95% interval"
    percents = alt.Axis(format="%", tickCount=5)
    base = alt.Chart(values(rows)).encode(
        x=axis,
        description="spoken:N",
        tooltip=tips(x="x_text:N", finished="finished:N", share="share:Q", low="low:Q", high="high:Q"),
    )
    spans = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", scale=scale, axis=percents, title=title), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=1, strokeDash=[3, 3]).encode(y=alt.Y("share:Q", scale=scale))
    points = base.mark_point(filled=True, size=70, opacity=1).encode(y=alt.Y("share:Q", scale=scale))
    return layers(line, spans, points).properties(height=260)


def sensitivity(results: Results) -> Figure:
    """The share of runs that finished by each swept option alone, over all values of the others."""
    swept = _swept(results)
    if len(swept) < 2:
        few = "a single option was swept: see the stability map" if swept else "no option was swept"
        raise NothingToDraw(few)
    tables = {name: results.stability_map(name) for name in swept}
    reach = {name: float(np.ptp(rows["share"])) for name, rows in tables.items()}
    # the option that matters most comes first
    order = sorted(swept, key=lambda name: -reach[name])
    ranges = [
        f"from {percent(rows['share'].min())} to {percent(rows['share'].max())} with {plain_text(name)}"
        for name, rows in ((name, tables[name]) for name in order)
    ]
    finding = (
        f"The share of runs that finished ranges {listed(ranges, limit=len(ranges))}, each option taken "
        "alone, over all values of the others."
    )
    table = pd.concat([tables[name].assign(option=name) for name in order], ignore_index=True)
    table = table[["option", "x", "runs", "stable", "share", "low", "high"]].rename(columns={"x": "value"})
    chart = stacked([_curve(tables[name], name).properties(height=200) for name in order])
    return Figure("sensitivity", "Effect of each swept option", finding, chart, table)
