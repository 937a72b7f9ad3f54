"""Metrics, gradient norms and logits over training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ganbench.report.figures.base import (
    LINES,
    Figure,
    NothingToDraw,
    Task,
    ends,
    left_out,
    most_failures_first,
    tasks,
)
from ganbench.report.figures.lines import Lines, Panel
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.results.values import averaged
from ganbench.text import listed, number, plain_text

POINTS = 100
"""Steps drawn of a run."""


def metric_curves(results: Results, metric: str | None = None) -> Figure:
    """A metric over training: median and quartiles over seeds, and every seed.

    A run that has stopped counts as worst from then on, so a band may leave the picture.
    """
    metric_tasks = tasks(results, metric)
    labels = labels_of(results)
    # panels share one legend, which has room for about a dozen names
    each = LINES if len(metric_tasks) < 3 else LINES // 3
    evaluations = averaged(results.evaluations)
    panels, all_drawn, findings = [], [], []
    for task in metric_tasks:
        drawn = ends(task.best_first(), each)
        rows = evaluations[evaluations["metric"] == task.metric]
        rows = rows.loc[rows["variant"].isin(task.summary["variant"]), ["key", "variant", "step", "value"]]
        if rows.empty:
            continue
        worst = -math.inf if task.direction == "higher" else math.inf
        panels.append(Panel(task.name, f"{task.name} ({task.direction} is better)", rows, worst))
        all_drawn += drawn
        findings.append((task, left_out(len(drawn), len(task.summary), "final value")))
    if not panels:
        raise NothingToDraw("no metric was measured")
    # each variant once, though several panels may show it
    lines = Lines(results.runs, panels, labels, dict.fromkeys(all_drawn))
    sentences = [
        _at_the_end(bands, task, labels) + left
        for bands, (task, left) in zip(lines.bands, findings, strict=True)
    ]
    title = f"{listed([task.name for task, _ in findings])} over training"
    return Figure("metric-curves", title, " ".join(sentences), lines.chart(), lines.table("value"))


def gradient_norms(results: Results) -> Figure:
    """The gradient norm of each player over training."""
    return _probe(
        # 0 decades: norms are always on a logarithmic axis, since they span orders of magnitude
        results,
        "grad_norm",
        ("gradient-norms", "Gradient norms over training", "gradient norm"),
        decades=0.0,
    )


def logit_gap(results: Results) -> Figure:
    """Mean logit of a judge on real minus that on fake samples: how clearly it separates them."""
    # infinitely many decades: never a logarithmic axis, since gaps may be negative
    words = ("logit-gap", "Logit gap over training", "logit of real - logit of fake")
    return _probe(results, "logit_gap", words, decades=math.inf)


def _probe(results: Results, column: str, words: tuple[str, str, str], decades: float) -> Figure:
    """A column of traces, a panel a player. `words`: the figure's name and title, and that of its axis."""
    name, title, axis = words
    if results.runs.empty or not (rows := _traces(results, column)).size:
        raise NothingToDraw(f"no trace of {column} was recorded")
    recorded = set(rows["variant"].unique())
    order = [variant for variant in most_failures_first(results.runs) if variant in recorded]
    drawn = ends(order, LINES)
    # strings, not categories: every group of rows would carry all categories, thousands of them
    rows = rows[rows["variant"].isin(drawn)].astype({"key": str, "variant": str, "player": str})
    labels = labels_of(results)
    panels = [
        Panel(str(player), f"{axis}, {plain_text(player)}", rows_of_player, decades=decades)
        for player, rows_of_player in rows.groupby("player", sort=False, observed=True)
    ]
    lines = Lines(results.runs, panels, labels, drawn)
    finding = _reach(lines, axis) + left_out(len(drawn), len(order), "failure rate")
    return Figure(name, title, finding, lines.chart(), lines.table(column))


def _traces(results: Results, column: str) -> pd.DataFrame:
    """key, variant, step, player, value of the runs that have a row."""
    rows = results.curves((column,), points=POINTS).rename(columns={column: "value"})
    # the trace of a stack may hold runs that are not among these results
    return rows[rows["key"].isin(results.runs["key"])].dropna(subset="value")


def _at_the_end(bands: pd.DataFrame, task: Task, labels: Mapping[str, str]) -> str:
    """Medians at the last step: the lowest and the highest of those that are finite."""
    last = bands.sort_values("step", kind="stable").groupby("variant", sort=False).tail(1)
    finite = last[np.isfinite(last["middle"].to_numpy(dtype=np.float64))]
    if finite.empty:
        return f"No variant has a finite median {task.name} at its last step."
    low, high = finite.loc[finite["middle"].idxmin()], finite.loc[finite["middle"].idxmax()]
    n = _counts(finite["n"])
    if low["middle"] == high["middle"]:
        return f"The median {task.name} at the last step is {number(low['middle'])}, n = {n}."
    return (
        f"At the last step the median {task.name} ranges from {number(low['middle'])} "
        f"({labels[low['variant']]}) to {number(high['middle'])} ({labels[high['variant']]}), n = {n}."
    )


def _reach(lines: Lines, quantity: str) -> str:
    """The range of each panel's medians over training."""
    ranges = []
    for panel, bands in zip(lines.panels, lines.bands, strict=True):
        finite = bands["middle"][np.isfinite(bands["middle"].to_numpy(dtype=np.float64))]
        if len(finite):
            ranges.append(f"{plain_text(panel.name)} from {number(finite.min())} to {number(finite.max())}")
    if not ranges:
        return f"No finite {quantity} was recorded."
    n = _counts(pd.concat([bands["n"] for bands in lines.bands]))
    return (
        f"Median {quantity} over all variants and steps: {listed(ranges, limit=6)} "
        f"(n = {n} runs; runs that had stopped are not counted)."
    )


def _counts(n: pd.Series) -> str:
    low, high = int(n.min()), int(n.max())
    return f"{low}" if low == high else f"{low} to {high}"
