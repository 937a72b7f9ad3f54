"""Lines over training: a band over seeds, its median, and every seed as a line of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.report.figures.base import (
    CROSS,
    FEW,
    SERIES,
    dim,
    layers,
    looks,
    picked,
    small_multiples,
    small_title,
    stacked,
    step_axis,
    tips,
    value_axis,
    values,
)

RUNS = 200
"""Runs drawn as lines of their own: the first seeds of each variant."""
SINGLE = 10
"""So few runs of a variant are drawn without a band: the runs themselves show more."""
_BAND: list[Any] = ["step", "low", "middle", "high", "n"]
_TIPS = {"variant": "variant:N", "seed": "seed:O", "outcome": "outcome:N"}


@dataclass(frozen=True, eq=False)
class Panel:
    """One of the charts below each other.

    Arguments:
        name: unique among the panels.
        title: of its axis.
        rows: key, variant, step, value.
        stopped: the value of a run once it has stopped; NaN: it no longer counts.
        decades: if values span more than these, the axis is logarithmic.
    """

    name: str
    title: str
    rows: pd.DataFrame
    stopped: float = math.nan
    decades: float = 2.0


@dataclass(frozen=True)
class _Shades:
    """Opacities: of bands, of medians and marks, and of single runs, given which run the pointer is over."""

    band: object
    middle: object
    single: Callable[[alt.Parameter], object]


class Lines:
    """The bands and single lines of a figure, from the rows of its panels.

    Arguments:
        runs: one row a run: key, variant, seed, outcome, onset_step.
        panels: their rows of variants that are not drawn are ignored.
        labels: of all variants.
        drawn: the variants to draw.
    """

    def __init__(
        self, runs: pd.DataFrame, panels: Sequence[Panel], labels: Mapping[str, str], drawn: Iterable[str]
    ) -> None:
        self.labels = {variant: labels[variant] for variant in drawn}
        self.runs = runs[runs["variant"].isin(self.labels)].set_index("key")
        self._counts = self.runs["variant"].value_counts()
        # of more variants each has a chart of its own, and needs no look to be told apart by
        self._small = len(self.labels) > SERIES
        self._look = {} if self._small else looks(list(self.labels.values()), list(labels.values()))
        self._colour = {name: look for name, look in self._look.items() if name == "color"}
        self.panels = panels
        self.bands = [self._bands(panel) for panel in panels]
        # an equal share each; at least one, so that a band never stands alone
        each = max(1, RUNS // len(self.labels))
        keys = self.runs.sort_values("seed", kind="stable").groupby("variant", sort=False).head(each).index
        self.singles = [panel.rows[panel.rows["key"].isin(keys)] for panel in panels]

    def _bands(self, panel: Panel) -> pd.DataFrame:
        rows = panel.rows[panel.rows["variant"].isin(self.labels)]
        bands = [
            band(rows_of_variant, int(self._counts[str(variant)]), panel.stopped).assign(variant=str(variant))
            for variant, rows_of_variant in rows.groupby("variant", sort=False, observed=True)
        ]
        return pd.concat(bands, ignore_index=True) if bands else pd.DataFrame(columns=[*_BAND, "variant"])

    def table(self, column: str) -> pd.DataFrame:
        """The numbers drawn: quartiles of each variant, then the values of single runs."""
        parts = []
        for panel, bands, singles in zip(self.panels, self.bands, self.singles, strict=True):
            run_columns = self.runs.loc[singles["key"], ["seed", "outcome"]].reset_index(drop=True)
            values_ = singles[["variant", "step", "value"]].reset_index(drop=True)
            parts += [
                bands.rename(columns={"middle": "value"}).assign(panel=panel.name, kind="quartiles"),
                pd.concat([values_, run_columns], axis=1).assign(panel=panel.name, kind="run"),
            ]
        names = ["panel", "kind", "variant", "seed", "outcome", "step", "value", "low", "high", "n"]
        table = pd.concat(parts, ignore_index=True)[names].astype({"seed": "Int64", "n": "Int64"})
        quartiles = {"value": column, "low": "lower_quartile", "high": "upper_quartile"}
        return table.rename(columns=quartiles).drop(columns=["panel"] if len(self.panels) == 1 else [])

    def chart(self) -> alt.TopLevelMixin:
        """The panels below each other; a single one is as wide as its container."""
        panels = range(len(self.panels))
        if self._small:
            return small_multiples(
                {f"{self.panels[i].title}, over steps": self._small_panels(i) for i in panels}
            )
        chosen = picked()
        height = 280 if len(panels) == 1 else 190
        return stacked([self._panel(index, chosen).properties(height=height) for index in panels])

    def _panel(self, index: int, chosen: alt.Parameter) -> alt.LayerChart:
        """All variants in one chart."""
        bands = alt.Chart(values(self._band_rows(self.bands[index])))
        runs = alt.Chart(values(self._run_rows(self.singles[index])))
        x = step_axis(self._last(index), title="step" if index == len(self.panels) - 1 else None)
        few = len(self.labels) <= FEW
        band = alt.when(chosen, empty=few).then(alt.value(0.18)).otherwise(alt.value(0.02))
        rest = 0.13 if self._banded else 0.35

        def single(over: alt.Parameter) -> object:
            lit = alt.when(over).then(alt.value(1)).when(chosen, empty=few).then(alt.value(0.4))
            return lit.when(chosen).then(alt.value(rest)).otherwise(alt.value(0.04))

        shades = _Shades(band, dim(chosen), single)
        drawn = self._layers(index, f"over{index}", bands, runs, x, shades, self.panels[index].title)
        if index == 0:
            drawn[1] = drawn[1].add_params(chosen)
        return layers(*drawn)

    def _small_panels(self, index: int) -> list[alt.LayerChart]:
        """A chart a variant."""

        def single(over: alt.Parameter) -> object:
            return alt.when(over).then(alt.value(1)).otherwise(alt.value(0.3))

        shades = _Shades(alt.value(0.18), alt.value(1), single)
        x = step_axis(self._last(index), title=None, ticks=2)
        there = set(self.bands[index]["variant"])
        panels = []
        for place, variant in enumerate(variant for variant in self.labels if variant in there):
            own = [rows[rows["variant"] == variant] for rows in (self.bands[index], self.singles[index])]
            bands = alt.Chart(values(self._band_rows(own[0])))
            runs = alt.Chart(values(self._run_rows(own[1])))
            drawn = self._layers(index, f"over{index}at{place}", bands, runs, x, shades, "")
            title = small_title(self.labels[variant])
            panels.append(layers(*drawn).properties(height=100, title=title))
        return panels

    @property
    def _banded(self) -> bool:
        return bool((self._counts > SINGLE).any())

    def _last(self, index: int) -> float:
        return float(self.panels[index].rows["step"].max())

    def _layers(
        self,
        index: int,
        name: str,
        bands: alt.Chart,
        runs: alt.Chart,
        x: alt.X,
        shades: _Shades,
        title: str,
    ) -> list[alt.Chart]:
        """Bands, single runs, medians, marks of failed runs, points of the run under the pointer."""
        of_bands, of_runs = self.bands[index], self.singles[index]["value"].to_numpy(dtype=np.float64)
        numbers = [of_bands[name].to_numpy(dtype=np.float64) for name in ("low", "middle", "high")]
        axis = value_axis(np.concatenate([*numbers, of_runs]), title, self.panels[index].decades)
        # empty=False: without a pointer no line stands out
        over = alt.selection_point(name=name, fields=["run"], on="pointerover", clear=False, empty=False)
        area, middle = self._band_layers(bands, x, axis, shades)
        single, dots, ends = self._run_layers(runs, x, axis, shades, over)
        # later layers cover earlier ones: medians above seeds, marks above medians
        return [area, single.add_params(over), middle, ends, dots]

    def _band_layers(
        self, bands: alt.Chart, x: alt.X, axis: Mapping[str, Any], shades: _Shades
    ) -> tuple[alt.Chart, alt.Chart]:
        flat = bands.transform_flatten(_BAND).encode(x=x, description="label:N", **self._colour)
        # no band of few runs, nor where an end is infinite
        banded = f"datum.runs > {SINGLE} && isValid(datum.low) && isValid(datum.high)"
        area = flat.transform_filter(banded).mark_area()
        area = area.encode(y=alt.Y("low:Q", **axis), y2="high:Q", opacity=shades.band)
        middle = flat.mark_line(strokeWidth=2.2).encode(
            y=alt.Y("middle:Q", **axis),
            opacity=shades.middle,
            tooltip=tips(variant="variant:N", step="step:Q", median="middle:Q", n="n:Q"),
            **self._look,
        )
        return area, middle

    def _run_layers(
        self, runs: alt.Chart, x: alt.X, axis: Mapping[str, Any], shades: _Shades, over: alt.Parameter
    ) -> tuple[alt.Chart, alt.Chart, alt.Chart]:
        """Faint lines that stand out under the pointer, the points of that run, and where runs failed."""
        base = runs.encode(description="spoken:N", **self._colour)
        flat = base.transform_flatten(["step", "value"]).encode(
            # `detail` keeps runs apart: seeds repeat between variants
            x=x,
            y=alt.Y("value:Q", **axis),
            detail="run:N",
        )
        line = flat.mark_line().encode(
            opacity=shades.single(over),
            strokeWidth=alt.when(over).then(alt.value(2.5)).otherwise(alt.value(1)),
            tooltip=tips(**_TIPS),
        )
        dots = flat.transform_filter(over).mark_point(filled=True, size=28, opacity=1)
        dots = dots.encode(tooltip=tips(**_TIPS, step="step:Q", value="value:Q"))
        ends = base.transform_filter("isValid(datum.onset)").mark_point(shape=CROSS, size=45, strokeWidth=1.6)
        ends = ends.encode(
            x=alt.X("onset:Q"),
            y=alt.Y("last:Q", **axis),
            opacity=shades.middle,
            tooltip=tips(**_TIPS, failed_at="onset:Q", value="last:Q"),
        )
        return line, dots, ends

    def _band_rows(self, bands: pd.DataFrame) -> list[dict[str, object]]:
        """One row a variant, with its curve as lists that the browser unfolds."""
        return [
            {
                "variant": variant,
                "label": self.labels[str(variant)],
                "runs": int(self._counts[str(variant)]),
                **{name: curve[name].tolist() for name in _BAND},
            }
            for variant, curve in bands.groupby("variant", sort=False)
        ]

    def _run_rows(self, singles: pd.DataFrame) -> list[dict[str, object]]:
        """One row a run: its curve as lists, and the step at which it failed, with its value there."""
        rows = []
        runs = self.runs.to_dict("index")
        for index, (key, curve) in enumerate(singles.groupby("key", sort=False, observed=True)):
            run = runs[str(key)]
            row: dict[str, object] = {
                "run": index,
                "variant": str(run["variant"]),
                "label": self.labels[str(run["variant"])],
                "seed": int(run["seed"]),
                "outcome": str(run["outcome"]),
                "spoken": f"{self.labels[str(run['variant'])]}, seed {run['seed']}, {run['outcome']}",
                "step": curve["step"].tolist(),
                "value": curve["value"].tolist(),
            }
            if run["outcome"] != Outcome.FINISHED:
                # thinned traces may have no row at the onset: the last one before it then
                at = curve[curve["step"] <= run["onset_step"]] if pd.notna(run["onset_step"]) else curve
                end = (at if len(at) else curve).iloc[-1]
                row |= {"onset": int(end["step"]), "last": float(end["value"])}
            rows.append(row)
        return rows


def band(rows: pd.DataFrame, total: int, stopped: float) -> pd.DataFrame:
    """Median and quartiles over runs at each step: step, low, middle, high, n.

    Quartiles are values of runs, not interpolated, so at least half of the runs lie in the band.

    Arguments:
        rows: key, step, value of one variant.
        total: how many runs it has.
        stopped: the value of a run that has stopped (NaN: it does not count).
    """
    runs = [run.sort_values("step") for _, run in rows.groupby("key", sort=False, observed=True)]
    # the grid is that of the run that went furthest, and of these the one with most steps
    steps = max((run["step"].to_numpy() for run in runs), key=lambda at: (at[-1], len(at)))
    grid = np.full((max(total, len(runs)), len(steps)), stopped)
    # lines without a run stay at `stopped`: a run may have failed before its first row
    for line, run in zip(grid, runs, strict=False):
        at, value = run["step"].to_numpy(), run["value"].to_numpy(dtype=np.float64)
        # between its steps a run keeps its last value
        alive = (steps >= at[0]) & (steps <= at[-1])
        line[alive] = value[np.searchsorted(at, steps[alive], side="right") - 1]
    # numpy warns about columns of NaN only
    some = ~np.isnan(grid).all(axis=0)
    low, lower, upper, high = np.full((4, len(steps)), np.nan)
    if some.any():
        # no interpolation: between two infinities it would be NaN
        low[some], lower[some] = np.nanquantile(grid[:, some], [0.25, 0.5], axis=0, method="lower")
        upper[some], high[some] = np.nanquantile(grid[:, some], [0.5, 0.75], axis=0, method="higher")
    columns = {"step": steps, "low": low, "middle": (lower + upper) / 2, "high": high}
    return pd.DataFrame(columns | {"n": (~np.isnan(grid)).sum(axis=0)})
