"""What a failure looked like: traces around the onset of one run of each outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pyarrow.compute as pc

from ganbench.judging.collapse import COUNTS
from ganbench.judging.outcomes import Outcome
from ganbench.report.figures.base import (
    Figure,
    NothingToDraw,
    broken,
    dim,
    layers,
    picked,
    stacked,
    tips,
    value_axis,
    values,
)
from ganbench.report.figures.theme import DASHES
from ganbench.report.names import labels_of
from ganbench.report.onsets import onset_texts
from ganbench.results import Results, averaged
from ganbench.text import listed, plain_text, shorten

POINTS = 300
"""Steps drawn of a trace."""
# Runs of an outcome tried before it is left out: each may read a whole trace from disk.
_TRIES = 5
_ACCURACIES = ("real_accuracy", "fake_accuracy")
_NORM = "gradient norm"


def examples(results: Results) -> Figure:
    """For each failure outcome, the run with the median onset, with the evidence shaded."""
    failed = results.runs[(results.runs["outcome"] != Outcome.FINISHED) & results.runs["onset_step"].notna()]
    if failed.empty:
        raise NothingToDraw("no run failed at a known step")
    drawn = [
        example
        for _, runs in failed.groupby("outcome", sort=True, observed=True)
        if (example := _example(results, runs))
    ]
    if not drawn:
        raise NothingToDraw("no failed run left a trace")
    table = pd.concat([rows.assign(**_named(run)) for run, rows in drawn], ignore_index=True)
    table = table[["variant", "seed", "outcome", "onset_step", "what", "series", "step", "value"]]
    labels = labels_of(results)
    onsets = onset_texts(results)
    sentences = [
        f"{labels[run['variant']]} seed {run['seed']} {run['outcome']} {onsets[run['key']]}"
        for run, _ in drawn
    ]
    finding = f"{listed(sentences, limit=len(sentences))}."
    series = list(dict.fromkeys(table["series"]))
    return Figure("examples", "What failures looked like", finding, _chart(drawn, series, labels), table)


def _example(results: Results, runs: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame] | None:
    """The run with the median onset, or the nearest one that left rows; and its rows."""
    ordered = runs.sort_values(["onset_step", "variant", "seed"])
    # positions in order of distance from the median's
    nearest = np.argsort(np.abs(np.arange(len(ordered)) - (len(ordered) - 1) // 2), kind="stable")
    for place in nearest[:_TRIES]:
        run = ordered.iloc[int(place)]
        if len(rows := _rows(results, run)):
            return run, rows
    return None


def _named(run: pd.Series) -> dict[str, Any]:
    return {name: run[name] for name in ("variant", "seed", "outcome", "onset_step")}


def _rows(results: Results, run: pd.Series) -> pd.DataFrame:
    """series, step, value of the evidence for the verdict, around its onset."""
    # Values that are not finite cannot be drawn: of a run that diverged, the norms of its trace show more.
    if run["seen_by"] == "evaluation" and run["outcome"] != Outcome.DIVERGED:
        rows = averaged(results.evaluations[results.evaluations["key"] == run["key"]])
        metric = _judged(str(run["probe"]), list(rows["metric"].unique()))
        rows = rows[rows["metric"] == metric].dropna(subset="value")
        return _long(rows["step"], metric, metric, rows["value"])
    trace = _trace(results, str(run["key"]))
    if trace.empty:
        return trace
    trace = _around(trace, run)
    if run["outcome"] == Outcome.SATURATED:
        columns = [name for name in _ACCURACIES if name in trace]
        # only judges have accuracies: in the rows of generators they are missing
        judge = trace[trace[columns].notna().all(axis=1)]
        long = judge.melt(id_vars="step", value_vars=columns, var_name="series", value_name="value")
        return _long(
            long["step"], "accuracy", long["series"].str.replace("_accuracy", " samples"), long["value"]
        )
    norms = trace[["player", "step", "grad_norm"]].dropna()
    norms = norms[np.isfinite(norms["grad_norm"])]
    return _long(norms["step"], _NORM, norms["player"].astype(str), norms["grad_norm"])


def _long(step: pd.Series, what: str, series: pd.Series | str, value: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"what": what, "series": series, "step": step, "value": value}).reset_index(drop=True)


def _judged(probe: str, metrics: Sequence[str]) -> str:
    """The metric that a verdict was taken from, or one like it where its values are not there."""
    counted = [name for name in COUNTS if name in metrics]
    # Names from the sentences of an earlier version have "-" for "_".
    named = [name for name in metrics if name.replace("_", "-") == probe.replace("_", "-")]
    return str([*named, *counted, *metrics, ""][0])


def _trace(results: Results, key: str) -> pd.DataFrame:
    """The whole trace of one run, in order of steps, from its stack's folder alone."""
    for folder in results.folders:
        keys = list(folder.config().get("keys", ()))
        if key in keys and (table := folder.traces_table()) is not None:
            # a trace names a run by its position in the stack
            rows = table.filter(pc.equal(table.column("run"), keys.index(key)))
            frame: pd.DataFrame = rows.to_pandas().sort_values("step", kind="stable")
            if len(frame):
                return frame
    return pd.DataFrame()


def _around(trace: pd.DataFrame, run: pd.Series) -> pd.DataFrame:
    """The steps around the evidence, at most `POINTS` of them."""
    first, last = _evidence(run)
    # evidence of a single step still needs surroundings: a tenth of the run
    margin = max(last - first, 0.1 * float(run["budget"]))
    near = trace[(trace["step"] >= first - margin) & (trace["step"] <= last + margin)]
    steps = np.sort(near["step"].unique())
    # thinned by steps and not by rows, so that all players keep the same ones
    drawn = steps[:: max(1, -(-len(steps) // POINTS))]
    return near[near["step"].isin(drawn)]


def _evidence(run: pd.Series) -> tuple[float, float]:
    """First and last step over which the failure held."""
    first = run["onset_step"] if pd.isna(run["evidence_first"]) else run["evidence_first"]
    last = first if pd.isna(run["evidence_last"]) else run["evidence_last"]
    return float(first), float(last)


def _chart(
    drawn: list[tuple[pd.Series, pd.DataFrame]], series: list[str], labels: dict[str, str]
) -> alt.TopLevelMixin:
    chosen = picked("series")
    panels = [_panel(run, rows, series, labels, chosen, first=i == 0) for i, (run, rows) in enumerate(drawn)]
    return stacked(panels)


def _axis(rows: pd.DataFrame) -> dict[str, Any]:
    quantity = str(rows["what"].iloc[0])
    return value_axis(rows["value"], plain_text(quantity), decades=0.0 if quantity == _NORM else 2.0)


def _panel(
    run: pd.Series,
    rows: pd.DataFrame,
    series: list[str],
    labels: dict[str, str],
    chosen: alt.Parameter,
    first: bool,
) -> alt.LayerChart:
    run_fields: dict[str, object] = {
        "variant": str(run["variant"]),
        "seed": int(run["seed"]),
        "outcome": str(run["outcome"]),
    }
    lines = _lines(rows, run_fields, series, chosen)
    # all panels obey one legend, so only one panel declares the selection
    if first:
        lines = lines.add_params(chosen)
    title = alt.TitleParams(
        broken(f"{run['outcome']}: {labels[run['variant']]}, seed {run['seed']}"),
        subtitle=broken(shorten(plain_text(run["reason"]), 90)),
    )
    drawn = layers(*_window(run, run_fields), lines)
    return drawn.properties(title=title, height=150)


def _lines(
    rows: pd.DataFrame, run_fields: dict[str, object], series: list[str], chosen: alt.Parameter
) -> alt.Chart:
    names = [shorten(plain_text(name), 40) for name in series]
    short = dict(zip(series, names, strict=True))
    lines = [
        {
            **run_fields,
            "series": short[str(name)],
            "step": line["step"].tolist(),
            "value": line["value"].tolist(),
        }
        for name, line in rows.groupby("series", sort=False, observed=True)
    ]
    dashes = [DASHES[i % len(DASHES)] for i in range(len(names))]
    legend = alt.Legend(title=None, columns=2, symbolType="stroke", symbolOpacity=1, symbolSize=320)
    # a line alone would hide how few evaluations there are
    points = alt.OverlayMarkDef(size=14, filled=True) if len(rows) < 60 else False
    flat = alt.Chart(values(lines)).transform_flatten(["step", "value"])
    run_tips = {"variant": "variant:N", "seed": "seed:O", "outcome": "outcome:N", "series": "series:N"}
    return flat.mark_line(strokeWidth=1.8, point=points).encode(
        x=alt.X("step:Q", title="step", scale=alt.Scale(nice=False, zero=False)),
        y=alt.Y("value:Q", **_axis(rows)),
        color=alt.Color("series:N", scale=alt.Scale(domain=names), legend=legend),
        strokeDash=alt.StrokeDash("series:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
        opacity=dim(chosen),
        description="series:N",
        tooltip=tips(**run_tips, step="step:Q", value="value:Q"),
    )


def _window(run: pd.Series, run_fields: dict[str, object]) -> list[alt.Chart]:
    """The steps over which the failure held, shaded, with a line where they begin."""
    start, end = _evidence(run)
    base = alt.Chart(values([{**run_fields, "first": start, "last": end}])).encode(
        x=alt.X("first:Q"), tooltip=tips(outcome="outcome:N", evidence_from="first:Q", to="last:Q")
    )
    window = base.mark_rect(opacity=0.9).encode(x2="last:Q")
    return [window, base.mark_rule(strokeDash=[4, 3], strokeWidth=1.5)]
