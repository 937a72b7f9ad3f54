"""What the runs cost."""

from __future__ import annotations

import altair as alt

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
from ganbench.text import listed, number, plain_text, wrap_label

_KINDS = {"training": "seconds", "evaluation": "evaluation_seconds"}


def cost(results: Results) -> Figure:
    """Mean seconds a run, training and evaluation: each run's equal share of its stack's time."""
    runs = results.runs
    timed = runs[runs["seconds"] > 0] if len(runs) else runs
    if timed.empty:
        raise NothingToDraw("no time was recorded")
    means = timed.groupby("variant", sort=False, observed=True)[list(_KINDS.values())].mean()
    means["runs"] = timed.groupby("variant", sort=False, observed=True).size()
    total = means["seconds"] + means["evaluation_seconds"].fillna(0)
    order = [str(variant) for variant in total.sort_values(ascending=False, kind="stable").index]
    kept = ends(order, ROWS)
    devices = listed(
        [plain_text(device) for device in timed["device"].dropna().unique()] or ["an unknown device"]
    )
    everything = float(timed["seconds"].sum() + timed["evaluation_seconds"].fillna(0).sum())
    labels = labels_of(results)
    finding = (
        f"{len(timed)} runs took {_time(everything)} on {devices}; the dearest, {labels[order[0]]}, "
        f"{number(float(total[order[0]]))} seconds a run."
    )
    finding += left_out(len(kept), len(order), "cost")
    table = (
        means.rename(columns={column: kind for kind, column in _KINDS.items()})
        .reset_index()
        .melt(id_vars=["variant", "runs"], var_name="what", value_name="seconds")
    )
    places = {variant: index for index, variant in enumerate(kept)}
    table = table[table["variant"].isin(kept)]
    table = table.sort_values(
        "variant", key=lambda names: names.map(places), kind="stable", ignore_index=True
    )
    rows = [
        {**row, "row": wrap_label(labels[row["variant"]]), "order": places[row["variant"]]}
        for row in records(table)
    ]
    chosen = picked("what")
    kinds = alt.Scale(domain=list(_KINDS))
    bars = (
        alt.Chart(values(rows))
        .mark_bar(stroke="black", strokeWidth=0.5, strokeOpacity=0.5)
        .encode(
            y=row_axis(),
            x=alt.X("seconds:Q", stack="zero", title="mean seconds a run", axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "what:N",
                scale=kinds,
                legend=alt.Legend(title=None, symbolType="square", symbolStrokeWidth=0.5),
            ),
            order=alt.Order("what:N", sort="descending"),
            opacity=dim(chosen),
            tooltip=tips(variant="variant:N", what="what:N", seconds="seconds:Q", runs="runs:Q"),
        )
        .add_params(chosen)
    )
    chart = bars.properties(width="container", height=row_step(rows))
    return Figure("cost", "Cost", finding, chart, table)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{number(seconds)} seconds"
    return f"{number(seconds / 60)} minutes" if seconds < 7200 else f"{number(seconds / 3600)} hours"
