"""How long the runs took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from ganbench.report.figures.base import (
    ROWS,
    Figure,
    NothingToDraw,
    dim,
    ends,
    left_out,
    picked,
    records,
    row_axis,
    row_step,
    tips,
    values,
)
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.text import duration, listed, number, plain_text, wrap_label

_KINDS = {"training": "seconds", "evaluation": "evaluation_seconds"}


def cost(results: Results) -> Figure:
    """Mean seconds per run, training and evaluation: each run's equal share of its stack's time."""
    runs = results.runs
    timed = runs[runs["seconds"] > 0] if len(runs) else runs
    if timed.empty:
        raise NothingToDraw("no time was recorded")
    by_variant = timed.groupby("variant", sort=False, observed=True)
    means = by_variant[list(_KINDS.values())].mean().assign(runs=by_variant.size())
    # a missing evaluation time must not hide the training time
    total = means["seconds"] + means["evaluation_seconds"].fillna(0)
    total = total.sort_values(ascending=False, kind="stable")
    drawn = ends([str(variant) for variant in total.index], ROWS)
    labels = labels_of(results)
    finding = _finding(timed, total, labels) + left_out(len(drawn), len(total), "cost")
    table = _table(means, drawn)
    return Figure("cost", "Cost", finding, _chart(table, drawn, labels), table)


def _finding(timed: pd.DataFrame, total: pd.Series, labels: Mapping[str, str]) -> str:
    """The time that all runs took, and the most expensive variant.

    Arguments:
        total: seconds per run by variant, most first.
    """
    label, most = labels[str(total.index[0])], float(total.iloc[0])
    devices = [plain_text(device) for device in timed["device"].dropna().unique()]
    seconds = float(timed["seconds"].sum() + timed["evaluation_seconds"].fillna(0).sum())
    return (
        f"{len(timed)} runs took {duration(seconds)} on {listed(devices or ['an unknown device'])}; the most "
        f"expensive variant, {label}, took {number(most)} seconds per run."
    )


def _table(means: pd.DataFrame, drawn: Sequence[str]) -> pd.DataFrame:
    """One row a variant and kind of time, in the order of `shown`."""
    long = (
        means.rename(columns={column: kind for kind, column in _KINDS.items()})
        .reset_index()
        .melt(id_vars=["variant", "runs"], var_name="what", value_name="seconds")
    )
    places = {variant: index for index, variant in enumerate(drawn)}
    long = long[long["variant"].isin(drawn)]
    return long.sort_values("variant", key=lambda names: names.map(places), kind="stable", ignore_index=True)


def _chart(table: pd.DataFrame, drawn: Sequence[str], labels: Mapping[str, str]) -> alt.Chart:
    rows = [
        {**row, "row": wrap_label(labels[row["variant"]]), "order": drawn.index(row["variant"])}
        for row in records(table)
    ]
    chosen = picked("what")
    legend = alt.Legend(title=None, symbolType="square", symbolStrokeWidth=0.5)
    bars = alt.Chart(values(rows)).mark_bar(stroke="black", strokeWidth=0.5, strokeOpacity=0.5)
    bars = bars.encode(
        y=row_axis(),
        x=alt.X("seconds:Q", stack="zero", title="mean seconds per run", axis=alt.Axis(tickCount=5)),
        color=alt.Color("what:N", scale=alt.Scale(domain=list(_KINDS)), legend=legend),
        # by name, descending: training next to the axis, evaluation after it
        order=alt.Order("what:N", sort="descending"),
        opacity=dim(chosen),
        tooltip=tips(variant="variant:N", what="what:N", seconds="seconds:Q", runs="runs:Q"),
    )
    return bars.add_params(chosen).properties(width="container", height=row_step(rows))
