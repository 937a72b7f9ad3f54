"""How often variants fail, and how their runs end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from ganbench.errors import BadInput
from ganbench.judging.outcomes import OUTCOMES, Outcome
from ganbench.report import ties
from ganbench.report.content import unjudged
from ganbench.report.figures.base import (
    ROWS,
    Figure,
    NothingToDraw,
    dim,
    ends,
    layers,
    left_out,
    legend_columns,
    most_failures_first,
    picked,
    records,
    row_axis,
    row_step,
    tips,
    values,
)
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.text import listed, p_equation, percent, wrap_label

_FITTING = (
    "width * datum.share > 6 * length(datum.text) + 6 ? datum.text "
    ": width * datum.share > 6 * length(toString(datum.runs)) + 6 ? toString(datum.runs) : ''"
)
"""A cue besides colour, if the bar has room: count and outcome, or the count alone."""


def failure_rates(results: Results) -> Figure:
    """Failure rates with their 95% Wilson intervals (Wilson 1927), most failures first."""
    summary = results.summary()
    if summary.empty:
        raise NothingToDraw("no run has ended yet")
    columns = ["variant", "runs", "failures", "failure_rate", "failure_low", "failure_high"]
    table = summary[columns].sort_values("failure_rate", ascending=False, kind="stable", ignore_index=True)
    labels = labels_of(results)
    finding = _rates_finding(table, labels)
    drawn = ends(table["variant"].tolist(), ROWS)
    # tests cover all pairs, so they would name variants that a shortened chart leaves out
    if len(drawn) == len(table) and table["failures"].any():
        finding += _tested(results, labels)
    finding += left_out(len(drawn), len(table), "failure rate")
    finding = f"{finding} {unjudged(results)}".strip()
    table = table[table["variant"].isin(drawn)].reset_index(drop=True)
    return Figure("failure-rates", "Failure rates", finding, _rates_chart(table, labels), table)


def _rates_chart(table: pd.DataFrame, labels: Mapping[str, str]) -> alt.LayerChart:
    """One row a variant: its rate, the interval, and the counts at the right."""
    rows = [
        {**row, "row": wrap_label(labels[row["variant"]]), "order": index, "text": _of(row)}
        for index, row in enumerate(records(table))
    ]
    axis = alt.Axis(format="%", tickCount=5)
    base = alt.Chart(values(rows)).encode(
        y=row_axis(),
        tooltip=tips(
            variant="variant:N",
            failed="text:N",
            failure_rate="failure_rate:Q",
            low="failure_low:Q",
            high="failure_high:Q",
        ),
    )
    scale = alt.Scale(domain=[0, 1])
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("failure_low:Q", scale=scale, axis=axis, title="runs that failed, with 95% interval"),
        x2="failure_high:Q",
    )
    points = base.mark_point(filled=True, size=75, opacity=1).encode(x=alt.X("failure_rate:Q", scale=scale))
    texts = base.mark_text(align="left", dx=10).encode(x=alt.datum(1, scale=scale), text="text:N")
    return layers(bars, points, texts).properties(width="container", height=row_step(rows))


def _of(row: Mapping[Any, Any]) -> str:
    return f"{row['failures']} of {row['runs']}"


def _rates_finding(table: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Which variants failed most and least often."""
    runs, failures = int(table["runs"].sum()), int(table["failures"].sum())
    if not failures:
        # the fewest runs have the widest interval: the bound then holds for all variants
        row = table.sort_values("runs", kind="stable").iloc[0]
        return (
            f"No run failed: 0 of {runs}; at {row['runs']} runs per variant, the true rate may still be "
            f"up to {percent(row['failure_high'])}."
        )
    if len(table) == 1:
        row = table.iloc[0]
        return f"{_of(row.to_dict())} runs failed ({_interval(row.to_dict())})."
    worst, least = ties.worst(table), ties.least(table)
    if len(worst) == len(table):
        return f"All variants failed equally often: {ties.counted(worst, _interval)}."
    return (
        f"{_named(worst, labels)} failed most: {ties.counted(worst, _interval)}; {_named(least, labels)} "
        f"least: {ties.counted(least, _interval)}; {failures} of all {runs} runs failed."
    )


def _tested(results: Results, labels: Mapping[str, str], alpha: float = 0.05) -> str:
    """Which rates differ significantly: the exact tests of `Results.compare`, with Holm's correction."""
    try:
        pairs = results.compare(alpha=alpha)
    except BadInput:  # their values cannot be compared: the figure "comparisons" says why
        return ""
    if pairs.empty:
        return ""
    clear = pairs[pairs["p_failures_holm"] <= alpha].sort_values("p_failures_holm", kind="stable")
    if clear.empty:
        tests = f"{len(pairs)} exact tests, smallest Holm-corrected"
        p = p_equation(pairs["p_failures_holm"].min())
        return f" Between single variants no difference in failure rate is significant ({tests} {p})."
    differences = []
    for row in records(clear):
        more, less = labels[row["variant"]], labels[row["other"]]
        # rates compared as whole numbers, without division
        if row["failures"] * row["n_other"] < row["failures_other"] * row["n"]:
            more, less = less, more
        differences.append(f"{more} failed more often than {less} ({p_equation(row['p_failures_holm'])})")
    return f" Significant (exact tests, Holm-corrected): {listed(differences)}."


def _named(rows: pd.DataFrame, labels: Mapping[str, str]) -> str:
    return listed([labels[variant] for variant in rows["variant"]])


def _interval(row: Mapping[Any, Any]) -> str:
    low, high = percent(row["failure_low"]), percent(row["failure_high"])
    return f"{percent(row['failure_rate'])}, 95% interval {low} to {high}"


def outcomes(results: Results) -> Figure:
    """How the runs of each variant ended, as shares of its runs."""
    runs = results.runs
    if runs.empty:
        raise NothingToDraw("no run has ended yet")
    counts = runs.groupby(["variant", "outcome"], sort=False, observed=True).size()
    table = counts.rename("runs").reset_index()
    order = most_failures_first(runs)
    drawn = ends(order, ROWS)
    finding = _outcomes_finding(runs["outcome"]) + left_out(len(drawn), len(order), "failure rate")
    table = table[table["variant"].isin(drawn)].copy()
    table["share"] = table["runs"] / table.groupby("variant")["runs"].transform("sum")
    table["order"] = table["variant"].map({variant: index for index, variant in enumerate(drawn)})
    table["place"] = table["outcome"].map({name: index for index, name in enumerate(OUTCOMES)})
    table = table.sort_values(["order", "place"], ignore_index=True)
    chart = _outcomes_chart(table, labels_of(results))
    return Figure("outcomes", "How runs ended", finding, chart, table.drop(columns=["order", "place"]))


def _outcomes_chart(table: pd.DataFrame, labels: Mapping[str, str]) -> alt.LayerChart:
    """One bar a variant, in it one part an outcome."""
    rows = [
        {**row, "row": wrap_label(labels[row["variant"]]), "text": f"{row['runs']} {row['outcome']}"}
        for row in records(table)
    ]
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5)
    present = [name for name in OUTCOMES if name in set(table["outcome"])]
    chosen = picked("outcome")
    base = alt.Chart(values(rows)).encode(
        y=row_axis(),
        x=alt.X("share:Q", stack="zero", scale=scale, axis=axis, title="share of runs"),
        order=alt.Order("place:Q"),
        tooltip=tips(variant="variant:N", outcome="outcome:N", runs="runs:Q", share="share:Q"),
    )
    bars = base.mark_bar(stroke="black", strokeWidth=0.5, strokeOpacity=0.5).encode(
        color=alt.Color(
            "outcome:N",
            # all outcomes, so that each has its colour in every report
            scale=alt.Scale(domain=list(OUTCOMES), range="ordinal"),
            legend=alt.Legend(
                title=None,
                values=present,
                columns=legend_columns(4, 2),
                symbolType="square",
                symbolStrokeWidth=0.5,
            ),
        ),
        opacity=dim(chosen),
    )
    texts = base.transform_calculate(fitting=_FITTING).mark_text(fontSize=10)
    texts = texts.encode(
        x=alt.X("share:Q", stack="zero", bandPosition=0.5), text="fitting:N", detail="outcome:N"
    )
    return layers(bars.add_params(chosen), texts).properties(width="container", height=row_step(rows))


def _outcomes_finding(outcome: pd.Series) -> str:
    counts = outcome.value_counts()
    failed = {str(name): int(count) for name, count in counts.items() if name != Outcome.FINISHED}
    done = len(outcome) - sum(failed.values())
    if not failed:
        return f"All {done} runs finished."
    counted = listed([f"{count} {name}" for name, count in failed.items()], limit=len(failed))
    return f"{done} of {len(outcome)} runs finished; {counted}."
