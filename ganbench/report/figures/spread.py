"""Final and best values: every seed a point."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.report.figures.base import (
    CROSS,
    ROW_MARGIN,
    ROWS,
    Figure,
    NothingToDraw,
    Task,
    dim,
    ends,
    layers,
    left_out,
    picked,
    records,
    rounded,
    row_axis,
    row_step,
    scale_kind,
    stacked,
    tasks,
    tips,
    value_axis,
    values,
    wide,
)
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.text import listed, number, wrap_label

_LANES = {"final": 0.28, "best": 0.72}
"""Where in a variant's row the two stand, 0 its top and 1 its foot."""
_LANE = 0.12
"""From the worst value to the middle of the lane of failed runs, as a share of the axis."""
_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 spread any number of seeds evenly over a lane
_RUN_TIPS = tips(variant="variant:N", seed="seed:O", outcome="outcome:N", when="when:N", value="value_text:N")
_COLUMNS = ["metric", "variant", "when", "kind", "seed", "outcome", "value", "low", "high", "n", "level"]


def final_values(results: Results, metric: str | None = None) -> Figure:
    """Final and best value of each run, with medians of the finished runs and their intervals."""
    metric_tasks = tasks(results, metric)
    if not metric_tasks:
        raise NothingToDraw("no variant measures a metric")
    labels = labels_of(results)
    chosen = picked("when")
    charts, tables, findings = [], [], []
    for index, task in enumerate(metric_tasks):
        order = task.best_first()
        # charts of several metrics share the rows of one
        drawn = ends(order, max(6, ROWS // len(metric_tasks)))
        summary = task.summary.set_index("variant", drop=False).loc[order]
        runs = results.runs[results.runs["variant"].isin(drawn)]
        rows = [_points(runs, task.metric), _estimates(summary.loc[drawn])]
        table = pd.concat(rows, ignore_index=True).assign(metric=task.name)[_COLUMNS]
        charts.append(_chart(table, task, drawn, labels, chosen, first=index == 0))
        tables.append(table)
        findings.append(
            _finding(summary, task.name, labels) + left_out(len(drawn), len(order), "final value")
        )
    chart = stacked(charts, ROW_MARGIN)
    title = f"Final and best {listed([task.name for task in metric_tasks])}"
    finding = " ".join(findings)
    return Figure("final-values", title, finding, chart, pd.concat(tables, ignore_index=True))


def _points(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a run and lane. Failed runs keep their last value, which no statistic counts."""
    lanes = [
        runs[["variant", "seed", "outcome"]].assign(
            # there is no such column if no run reached an evaluation of the metric
            when=when,
            kind="run",
            value=runs.get(f"{when}_{metric}", math.nan),
        )
        for when in _LANES
    ]
    return pd.concat(lanes, ignore_index=True)


def _estimates(summary: pd.DataFrame) -> pd.DataFrame:
    lanes = [
        summary[["variant", "n", "level"]].assign(
            when=when,
            kind="estimate",
            value=summary[when],
            low=summary[f"{when}_low"],
            high=summary[f"{when}_high"],
        )
        for when in _LANES
    ]
    return pd.concat(lanes, ignore_index=True)


def _finding(ranked: pd.DataFrame, metric: str, labels: dict[str, str]) -> str:
    """Which variant ranks first, and which others follow, each with the median of its finished runs."""
    finished = ranked[ranked["n"] > 0]
    if finished.empty:
        return f"No run with a final {metric} finished."
    first = finished.iloc[0]
    span = ""
    if first["n"] > 1:
        span = f" (between {number(first['final_low'])} and {number(first['final_high'])})"
    text = (
        f"{labels[first['variant']]} has the best final {metric}: {number(first['final'])}{span} is the "
        f"median of its {first['n']} finished runs of {first['runs']}"
    )
    if len(finished) > 1:
        second = finished.iloc[1]
        of = f"{second['n']} of {second['runs']}"
        text += f"; {labels[second['variant']]} follows with {number(second['final'])} ({of})"
    none = len(ranked) - len(finished)
    return text + (f". Of {none} of {len(ranked)} variants no run finished." if none else ".")


def _chart(
    table: pd.DataFrame,
    task: Task,
    order: list[str],
    labels: dict[str, str],
    chosen: alt.Parameter,
    first: bool,
) -> alt.LayerChart:
    finished = table["outcome"].isna() | (table["outcome"] == Outcome.FINISHED)
    finite = _shown(table[finished])
    edge = _edge(finite, wide(finite), task.direction)
    places = {variant: index for index, variant in enumerate(order)}
    # an interval may end at 0, where a logarithmic axis cannot
    least = finite.min() if wide(finite) else -math.inf
    rows = [_row(row, edge, least, places, labels) for row in records(table)]
    base = alt.Chart(values(rows)).encode(
        y=row_axis(),
        yOffset=alt.YOffset("lane:Q", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color(
            "when:N",
            scale=alt.Scale(domain=list(_LANES)),
            legend=alt.Legend(title=None, symbolType="circle"),
        ),
        opacity=dim(chosen),
        description="spoken:N",
    )
    axis = value_axis(finite, f"{task.name} ({task.direction} is better)")
    axis["scale"] = alt.Scale(nice=False, padding=8, **scale_kind(wide(finite)))
    if finite.size and (~finished).any():
        # the lane of failed runs has no value
        beyond = "<" if task.direction == "higher" else ">"
        outside = f"datum.value {beyond} {rounded(_break(finite, edge))}"
        axis["axis"].labelExpr = f"{outside} ? '' : datum.label"
    x = alt.X("x:Q", **axis)
    drawn = [*_estimate_layers(base, x, axis["scale"]), _finished(base, x)]
    if first:
        # on the first layer, the only one whose legend Vega-Lite keeps clickable
        drawn[0] = drawn[0].add_params(chosen)
    if (~finished).any():
        drawn = [*_lane_layers(finite, edge), *drawn, _failed(base, x)]
    # 44 pixels: a row has two lanes
    return layers(*drawn).properties(height=row_step(rows, 44))


def _shown(table: pd.DataFrame) -> np.ndarray:
    """The finite numbers that the axis must include; only positive ones if it will be logarithmic."""
    finite = table[["value", "low", "high"]].to_numpy(dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return finite[finite > 0] if wide(table["value"]) else finite


def _finished(base: alt.Chart, x: alt.X) -> alt.Chart:
    shapes = alt.Scale(domain=list(_LANES), range=["circle", "diamond"])
    points = base.transform_filter("datum.kind === 'run' && !datum.failed").mark_point(
        size=26, strokeWidth=1.3
    )
    return points.encode(x=x, shape=alt.Shape("when:N", scale=shapes), tooltip=_RUN_TIPS)


def _failed(base: alt.Chart, x: alt.X) -> alt.Chart:
    crosses = base.transform_filter("datum.failed").mark_point(shape=CROSS, size=45, strokeWidth=1.6)
    return crosses.encode(x=x, tooltip=_RUN_TIPS)


def _estimate_layers(base: alt.Chart, x: alt.X, scale: alt.Scale) -> list[alt.Chart]:
    tooltip = tips(variant="variant:N", when="when:N", estimate="value_text:N", interval="span:N", n="n:Q")
    estimate = base.transform_filter("datum.kind === 'estimate'")
    spans = estimate.mark_rule(strokeWidth=2).encode(x=x, x2="x2:Q", tooltip=tooltip)
    middles = estimate.transform_filter("isValid(datum.middle)").mark_tick(thickness=3, height=13)
    return [spans, middles.encode(x=alt.X("middle:Q", scale=scale), tooltip=tooltip)]


def _lane_layers(finite: np.ndarray, edge: float) -> list[alt.Chart]:
    """The lane of failed runs: shaded from half-way to the worst value on, as a break in the axis."""
    start = _break(finite, edge)
    end = edge * edge / start if wide(finite) else 2 * edge - start
    lane = alt.Chart(values([{"x": start, "x2": end, "note": "failed"}])).encode(description="note:N")
    shade = lane.mark_rect(opacity=0.5).encode(x="x:Q", x2="x2:Q")
    note = alt.Chart(values([{"x": edge, "note": "failed"}])).mark_text(fontSize=10, dy=-5)
    return [shade, note.encode(x="x:Q", y=alt.value(0), text="note:N")]


def _break(finite: np.ndarray, edge: float) -> float:
    """Where the lane begins: half-way from the worst value to its middle."""
    if not finite.size:
        return edge - 1.0
    worst = float(finite.max() if edge > finite.max() else finite.min())
    return math.sqrt(worst * edge) if wide(finite) else (worst + edge) / 2


def _edge(finite: np.ndarray, log: bool, direction: str) -> float:
    """Where failed runs are drawn: beyond the worst value of all that finished."""
    if not finite.size:
        return 0.0
    worst, best = (finite.min(), finite.max()) if direction == "higher" else (finite.max(), finite.min())
    if log:
        # a share of the axis, in decades
        return float(worst * (worst / best) ** _LANE)
    outwards = 1.0 if direction == "lower" else -1.0
    # a share of the spread; if all values are equal, of 1
    return float(worst + (worst - best or outwards) * _LANE)


def _row(
    row: dict[str, Any], edge: float, least: float, places: dict[str, int], labels: dict[str, str]
) -> dict[str, object]:
    """The fields of a run or an estimate that the chart uses.

    Arguments:
        edge: where failed runs are drawn.
        least: of the axis; intervals are cut there.
    """
    common = {
        **{name: row[name] for name in ("variant", "when", "kind", "outcome", "n")},
        "row": wrap_label(labels[row["variant"]]),
        "order": places[row["variant"]],
        "value_text": number(float(row["value"])),
        "failed": False,
    }
    specific = _run_row(row, edge) if row["kind"] == "run" else _estimate_row(row, edge, least)
    spoken = f"{labels[row['variant']]}, {row['when']}, {specific.pop('who')}: {common['value_text']}"
    return common | specific | {"spoken": spoken}


def _run_row(row: dict[str, Any], edge: float) -> dict[str, object]:
    failed = row["outcome"] != Outcome.FINISHED
    # by seed and not at random: the same results give the same picture
    jitter = 0.4 * ((float(row["seed"]) * _GOLDEN) % 1.0 - 0.5)
    return {
        "who": f"seed {row['seed']:.0f}, {row['outcome']}",
        "seed": int(row["seed"]),
        "failed": failed,
        "lane": _LANES[row["when"]] + jitter,
        "x": edge if failed else float(row["value"]),
    }


def _estimate_row(row: dict[str, Any], edge: float, least: float) -> dict[str, object]:
    low, high = float(row["low"]), float(row["high"])
    start, stop = (edge if math.isinf(end) else max(end, least) for end in (low, high))
    return {
        "who": "median of the finished runs",
        "lane": _LANES[row["when"]],
        "x": start,
        "x2": stop,
        "middle": float(row["value"]),
        "span": f"{number(low)} to {number(high)}",
    }
