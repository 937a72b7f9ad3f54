"""When runs fail, and when they reach a threshold: survival curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from ganbench.errors import BadInput, Problem
from ganbench.report.figures.base import (
    CROSS,
    LINES,
    Figure,
    NothingToDraw,
    broken,
    ends,
    layers,
    left_out,
    records,
    small_multiples,
    small_title,
    step_axis,
    tips,
    values,
)
from ganbench.report.names import labels_of
from ganbench.report.onsets import seen_by_evaluation
from ganbench.results import Results
from ganbench.results.survival import to_failure
from ganbench.text import listed, number, p_equation, plain_text

_STEPS: list[Any] = ["step", "survival", "low", "high", "at_risk"]
_TICK = "M0-1L0 1"
_DATED = " Failures that only an evaluation can detect are dated to that evaluation."


class _Event(NamedTuple):
    """The event of the curves: name and title of the figure, a verb, the axis, the mark of a run, a note."""

    name: str
    title: str
    did: str
    axis: str
    mark: str
    note: str = ""


def survival(results: Results) -> Figure:
    """The share of runs that has not failed, over training (Kaplan and Meier 1958); a mark for each run."""
    runs = results.runs
    times = to_failure(runs)
    if not times["event"].any():
        raise NothingToDraw("no run failed")
    marks = runs[["variant", "seed", "outcome"]].assign(step=times["time"], event=times["event"])
    note = _DATED if seen_by_evaluation(runs).any() else ""
    event = _Event("survival", "When runs fail", "failed", "runs that have not failed", CROSS, note)
    return _figure(results, event, results.survival(), marks, results.survival_tests())


def time_to_threshold(results: Results, metric: str | None = None, threshold: float | None = None) -> Figure:
    """The share of runs that has not reached a value of a metric yet; failed runs never do."""
    metric = metric or (results.lock.get("compare") or {}).get("metric")
    if threshold is None or metric is None:
        needed = "a metric and a threshold" if metric is None else "a threshold"
        raise NothingToDraw(Problem("time-to-threshold", f"needs {needed}: which value is good enough?"))
    try:
        threshold = float(threshold)
    except ValueError:
        raise BadInput(Problem("threshold", f"{threshold!r} is not a number")) from None
    times = results.time_to(metric, threshold)
    marks = times[["variant", "seed", "outcome"]].assign(step=times["step"], event=times["reached"])
    goal = f"{plain_text(metric)} of {number(threshold)}"
    event = _Event(
        "time-to-threshold",
        f"Time to {goal}",
        f"reached {goal}",
        f"runs that have not reached {goal}",
        "circle",
    )
    curves, tests = (f(metric, threshold) for f in (results.survival, results.survival_tests))
    return _figure(results, event, curves, marks, tests)


def _figure(
    results: Results, event: _Event, curves: pd.DataFrame, marks: pd.DataFrame, tests: pd.DataFrame
) -> Figure:
    last = curves.groupby("variant", sort=False, observed=True)["survival"].last()
    # the variant with the fewest survivors first
    order = [str(variant) for variant in last.sort_values(kind="stable").index]
    drawn = ends(order, LINES)
    names = labels_of(results)
    marks = marks[marks["variant"].isin(order)].astype({"step": "float64"})
    finding = _finding(tests, event.did, marks, names) + event.note
    finding += left_out(len(drawn), len(order), "share at the end")
    curves = curves[curves["variant"].isin(drawn)]
    marks = _on_curve(marks[marks["variant"].isin(drawn)], curves)
    chart = _chart(curves, marks, drawn, names, event)
    table = pd.concat([curves.assign(kind="curve"), marks.assign(kind="run")], ignore_index=True)
    return Figure(event.name, event.title, finding, chart, table)


def _finding(tests: pd.DataFrame, did: str, marks: pd.DataFrame, labels: dict[str, str]) -> str:
    """How many runs did, when, and what the corrected log-rank tests show."""
    steps = marks.loc[marks["event"], "step"]
    if steps.empty:
        return f"None of {len(marks)} runs {did}."
    when = f"by step {number(steps.max())}"
    if steps.min() < steps.max():
        first, half = number(steps.min()), number(steps.median())
        when = f"the first by step {first}, half of them by {half}, the last {when}"
    text = f"{len(steps)} of {len(marks)} runs {did}, {when}"
    # baselines, and variants without one, have no p
    tested = tests[tests["p_holm"].notna()]
    if tested.empty:
        return f"{text}."
    clear = tested[tested["p_holm"] <= 0.05].sort_values("p_holm", kind="stable")
    if clear.empty:
        return f"{text}; no variant differs significantly from its baseline (log-rank, Holm-corrected)."
    names = [f"{labels[variant]} ({p_equation(p)})" for variant, p in clear[["variant", "p_holm"]].to_numpy()]
    verb = "differs" if len(names) == 1 else "differ"
    return f"{text}; {listed(names)} {verb} significantly from the baseline (log-rank, Holm-corrected)."


def _on_curve(marks: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The runs with the height of their variant's curve at their step."""
    steps = {
        str(variant): (curve["step"].to_numpy(dtype=np.float64), curve["survival"].to_numpy())
        for variant, curve in curves.groupby("variant", sort=False, observed=True)
    }
    heights = []
    for variant, step in zip(marks["variant"], marks["step"], strict=True):
        at, height = steps[str(variant)]
        # the curve drops at an event, so a mark at that step stands below the drop
        heights.append(float(height[np.searchsorted(at, step, side="right") - 1]))
    return marks.assign(survival=heights)


def _chart(
    curves: pd.DataFrame, marks: pd.DataFrame, drawn: Sequence[str], names: dict[str, str], event: _Event
) -> alt.TopLevelMixin:
    """A chart a variant: curves often coincide, and one would hide another."""
    last = float(max(curves["step"].max(), marks["step"].max()))
    alone = len(drawn) == 1
    axes = _axes(last, event.axis) if alone else _axes(last, "", ticks=2)
    charts = []
    for variant in drawn:
        own_curve, own_marks = (rows[rows["variant"] == variant] for rows in (curves, marks))
        label = names[variant]
        parts = [*_curve_layers(own_curve, label, axes), _run_layer(own_marks, label, axes, event.mark)]
        charts.append(layers(*parts).properties(height=100, title=small_title(label)))
    if alone:
        return charts[0].properties(width="container", height=280)
    return small_multiples({f"{event.axis}, over steps": charts})


def _axes(last: float, title: str, ticks: int = 6) -> dict[str, Any]:
    shares = [0, 0.5, 1] if ticks < 6 else [0, 0.2, 0.4, 0.6, 0.8, 1]
    y = {
        "scale": alt.Scale(domain=[0, 1], nice=False),
        "title": broken(title),
        "axis": alt.Axis(format="%", values=shares),
    }
    return {"x": step_axis(last, title="step" if title else None, ticks=ticks), "y": y}


def _curve_layers(curves: pd.DataFrame, label: str, axes: Mapping[str, Any]) -> tuple[alt.Chart, alt.Chart]:
    """The interval and the curve of a variant."""
    rows = [
        {"variant": variant, "label": label, **{name: curve[name].tolist() for name in _STEPS}}
        for variant, curve in curves.groupby("variant", sort=False, observed=True)
    ]
    base = alt.Chart(values(rows)).transform_flatten(_STEPS)
    base = base.encode(x=axes["x"], description="label:N")
    band = base.mark_area(interpolate="step-after", opacity=0.18).encode(
        y=alt.Y("low:Q", **axes["y"]), y2="high:Q"
    )
    numbers = {"share": "survival:Q", "low": "low:Q", "high": "high:Q", "runs_left": "at_risk:Q"}
    line = base.mark_line(interpolate="step-after", strokeWidth=2.2).encode(
        y=alt.Y("survival:Q", **axes["y"]),
        tooltip=tips(variant="variant:N", step="step:Q", **numbers),
    )
    return band, line


def _run_layer(marks: pd.DataFrame, label: str, axes: Mapping[str, Any], mark: str) -> alt.Chart:
    """A mark for each run: `mark` at its event, a tick where it is censored."""
    rows = [
        {**row, "label": label, "spoken": f"{label}, seed {row['seed']}, {row['outcome']}"}
        for row in records(marks)
    ]
    shapes = alt.Scale(domain=[True, False], range=[mark, _TICK])
    points = alt.Chart(values(rows)).mark_point(size=42, strokeWidth=1.6)
    return points.encode(
        x=axes["x"],
        y=alt.Y("survival:Q", **axes["y"]),
        shape=alt.Shape("event:N", scale=shapes, legend=None),
        description="spoken:N",
        tooltip=tips(variant="variant:N", seed="seed:O", outcome="outcome:N", step="step:Q"),
    )
