"""Which variants are better: effect size and corrected p of each pair."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from ganbench.report.figures.base import (
    ROWS,
    Figure,
    NothingToDraw,
    broken,
    dim,
    ends,
    layers,
    left_out,
    legend_columns,
    picked,
    records,
    row_axis,
    row_step,
    tips,
    values,
)
from ganbench.report.names import labels_of
from ganbench.results import Results
from ganbench.results.pairing import Baseline
from ganbench.text import listed, number, p_equation, p_value, plain_text, wrap_label

MOST = 14
"""Variants in a matrix; if there are more, the best and the worst are drawn."""
_TIPS = tips(
    variant="variant:N",
    against="other:N",
    better_with_probability="effect:Q",
    interval="span:N",
    corrected_p="p:N",
    finding="finding:N",
)


def comparisons(
    results: Results, metric: str | None = None, baseline: Baseline | None = None, alpha: float = 0.05
) -> Figure:
    """The probability that a run of one variant is better than a run of another, and whether it is not .5.

    With a baseline, one row a variant; else a matrix of all pairs.
    """
    pairs = results.compare(metric, baseline=baseline, alpha=alpha)
    if pairs.empty:
        raise NothingToDraw("there are no two variants to compare")
    labels = labels_of(results)
    measured = listed([plain_text(name) for name in pairs["metric"].unique()])
    # without a baseline the same variants are on both sides
    all_pairs = bool(set(pairs["variant"]) & set(pairs["other"]))
    if all_pairs:
        title, order, by = f"Who beats whom by {measured}", _ranking(pairs), "mean effect"
        selected = ends(order, MOST)
    else:
        title, by = f"Who beats the baseline by {measured}", "effect"
        order = pairs.sort_values("effect", ascending=False, kind="stable")["variant"].unique().tolist()
        selected = [*ends(order, ROWS), *pairs["other"].unique()]
    drawn = [variant for variant in order if variant in selected]
    finding = _finding(pairs, alpha, labels, results.missing) + left_out(len(drawn), len(order), by)
    table = pairs[pairs["variant"].isin(selected) & pairs["other"].isin(selected)].reset_index(drop=True)
    chart = _matrix(table, drawn, labels) if all_pairs else _forest(table, drawn, labels)
    return Figure("comparisons", title, finding, chart, table)


def _finding(pairs: pd.DataFrame, alpha: float, labels: dict[str, str], missing: int) -> str:
    """What the corrected tests show, and whether they could show anything at this number of runs."""
    clear = pairs[pairs["significant"]].sort_values("p_holm", kind="stable")
    n = int(pairs[["n", "n_other"]].min().min())
    counted = (
        f"{len(clear)} of {len(pairs)} differences are significant (exact Mann-Whitney, Holm, {alpha:g})"
    )
    if len(pairs) == 1:
        counted = "The difference is significant" if len(clear) else "The difference is not significant"
    if len(clear):
        won = []
        for row in clear.head(3).to_dict("records"):
            first, second = row["variant"], row["other"]
            # an effect below 0.5 means that the second is better
            first, second = (first, second) if row["effect"] >= 0.5 else (second, first)
            won.append(f"{labels[first]} beats {labels[second]} (corrected {p_equation(row['p_holm'])})")
        return f"{counted}: {listed(won)}."
    of = f"of {len(pairs)} comparisons" if len(pairs) > 1 else "of the comparison"
    least = f"the smallest Holm-corrected p {of} is {p_value(float(pairs['p_holm'].min()))}"
    # to test while runs come in, and stop once p is small, is no test at that level
    if missing:
        return f"Nothing is called significant until every run of the suite has a result; {least}."
    if not pairs["reachable"].any():
        # Holm multiplies the smallest p by the number of pairs
        possible = p_value(min(1.0, float(pairs["least_p"].min()) * len(pairs)))
        least += f", and with this few runs it cannot fall below {possible}"
    return f"No significant difference at n = {n} runs per variant: {least}."


def _ranking(pairs: pd.DataFrame) -> list[str]:
    """Variants by their mean effect, best first."""
    # P(B better) = 1 - P(A better), because ties count half
    mirrored = pairs.assign(variant=pairs["other"], other=pairs["variant"], effect=1 - pairs["effect"])
    both = pd.concat([pairs, mirrored], ignore_index=True)
    means = both.groupby("variant", sort=False, observed=True)["effect"].mean()
    return [str(name) for name in means.sort_values(ascending=False, kind="stable").index]


def _drawn(row: dict[str, Any]) -> dict[str, object]:
    """The fields of a pair that the chart uses: numbers, and the text of the tooltip."""
    return {
        **{
            name: row[name] for name in ("variant", "other", "effect", "effect_low", "effect_high", "finding")
        },
        "clear": bool(row["significant"]),
        "p": p_equation(float(row["p_holm"])),
        "span": f"{number(float(row['effect_low']))} to {number(float(row['effect_high']))}",
        "text": f"{row['effect']:.2f}".lstrip("0") + ("*" if row["significant"] else ""),
    }


def _forest(table: pd.DataFrame, order: list[str], labels: dict[str, str]) -> alt.LayerChart:
    """One row a variant and baseline: its effect."""
    several = table["other"].nunique() > 1
    rows = []
    for pair in records(table):
        against = f"\n{wrap_label('v ' + labels[pair['other']])}" if several else ""
        row = wrap_label(labels[pair["variant"]]) + against
        rows.append({**_drawn(pair), "row": row, "order": order.index(pair["variant"])})
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(values(rows)).encode(y=row_axis(), tooltip=_TIPS)
    title = (
        "probability that a run is better than one of the baseline, with 95% interval; p is Holm-corrected"
    )
    spans = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("effect_low:Q", scale=scale, axis=alt.Axis(tickCount=5), title=broken(title)),
        x2="effect_high:Q",
    )
    chosen = picked("clear")
    points = base.mark_point(size=80, strokeWidth=2).add_params(chosen)
    points = points.encode(x=alt.X("effect:Q", scale=scale), shape=_shape(), opacity=dim(chosen))
    texts = base.mark_text(align="left", dx=10, fontSize=10).encode(
        # right of the plot, where no interval reaches
        x=alt.datum(1, scale=scale),
        text=alt.Text("p:N"),
    )
    middle = alt.Chart(values([{"x": 0.5}])).mark_rule(strokeDash=[3, 3]).encode(x="x:Q")
    return layers(middle, spans, points, texts).properties(width="container", height=row_step(rows))


def _shape() -> alt.Shape:
    return alt.Shape(
        "clear:N",
        scale=alt.Scale(domain=[True, False], range=["diamond", "circle"]),
        legend=alt.Legend(
            title=None,
            columns=legend_columns(2, 1),
            labelExpr="datum.value ? 'significant after Holm' : 'not significant'",
            symbolFillColor="transparent",
        ),
    )


def _matrix(table: pd.DataFrame, order: list[str], labels: dict[str, str]) -> alt.LayerChart:
    """Row against column. Columns are numbered as the rows are, after their names."""
    places = {variant: index for index, variant in enumerate(order)}
    rows = []
    for pair in records(table):
        mirror = {
            **pair,
            "variant": pair["other"],
            "other": pair["variant"],
            "effect": 1 - pair["effect"],
            "effect_low": 1 - pair["effect_high"],
            "effect_high": 1 - pair["effect_low"],
        }
        rows += [_cell(pair, places, labels), _cell(mirror, places, labels)]
    base = alt.Chart(values(rows)).encode(
        y=row_axis(),
        x=alt.X(
            "column:O",
            title=broken(
                "probability that a run of the row is better than one of the column (*: significant)"
            ),
            axis=alt.Axis(orient="top", labelAngle=0, titleAlign="left", titleAnchor="start"),
        ),
        tooltip=_TIPS,
    )
    cells = base.mark_rect(strokeWidth=2).encode(
        color=alt.Color(
            # rgb: the default, HCL, would pass through hues that are not in the theme
            "effect:Q",
            scale=alt.Scale(domain=[0, 0.5, 1], range="diverging", interpolate="rgb"),
            legend=None,
        )
    )
    texts = base.mark_text(fontSize=10).encode(
        text="text:N",
        opacity=alt.when("datum.clear").then(alt.value(1)).otherwise(alt.value(0.75)),
    )
    outlines = (
        base.transform_filter("datum.clear")
        .mark_rect(filled=False, strokeWidth=1.6)
        .encode(stroke=alt.value("#808890"))
    )
    return layers(cells, outlines, texts).properties(width="container", height=row_step(rows))


def _cell(pair: dict[str, Any], places: dict[str, int], labels: dict[str, str]) -> dict[str, object]:
    row, column = places[pair["variant"]], places[pair["other"]]
    name = labels[pair["variant"]]
    # numbers in place of names above the columns, where long names would overlap
    return {**_drawn(pair), "row": f"{wrap_label(name)}   {row + 1}", "order": row, "column": column + 1}
