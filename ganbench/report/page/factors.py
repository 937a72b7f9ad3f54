"""Tables of failures: by one factor of the suite at a time, such as the loss, and run by run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from ganbench import stats
from ganbench.judging.outcomes import Outcome
from ganbench.report import ties
from ganbench.report.figures import Figure
from ganbench.report.onsets import onset_texts
from ganbench.results import Results
from ganbench.text import listed, p_equation, percent, plain_text

FACTORS = {"loss": "loss", "techniques": "technique", "model": "model"}
"""Column of the runs -> its name in titles."""
MOST_FAILURES = 1000
"""Failed runs listed on the page; all of them are in runs.csv."""
ALPHA = 0.05


def failures_by_factor(results: Results) -> list[Figure]:
    """A table for each factor by which failure rates differ: how often runs failed at each of its levels.

    Levels are compared within the same dataset and model; counts are pooled over all other settings. Rates
    have Wilson intervals (Wilson 1927). `p_against_least` tests a level against the level of its group that
    failed least, by an exact test for two rates (Barnard 1945) with Bonferroni's correction over all pairs
    of the group, since the extremes were chosen after looking.
    """
    figures = []
    for factor, title in FACTORS.items():
        groups = [_levels(factor, title, within, runs) for within, runs in _groups(factor, results.runs)]
        groups = [table for table in groups if table["failure_rate"].nunique() > 1]
        if groups:
            # one sentence, about the group with most runs; the table has all groups
            largest = max(groups, key=lambda table: int(table["runs"].sum()))
            table, finding = pd.concat(groups, ignore_index=True), _finding(title, largest)
            figures.append(Figure(f"failures-by-{title}", f"Failures by {title}", finding, None, table))
    return figures


def failed_runs(results: Results) -> list[Figure]:
    """A table of the runs that failed: when, and why; no table if none did."""
    failed = results.runs[results.runs["outcome"] != Outcome.FINISHED]
    if failed.empty:
        return []
    onset = failed["onset_step"].dropna().astype(float)
    finding = f"{len(failed)} of {len(results.runs)} runs failed"
    if len(onset):
        of = "them" if len(onset) == len(failed) else f"the {len(onset)} whose onset is known"
        finding += f"; the first by step {onset.min():.0f}, half of {of} by step {onset.median():.0f}"
    cut = (
        f" The first {MOST_FAILURES} are listed; all are in runs.csv." if len(failed) > MOST_FAILURES else ""
    )
    failed = failed.assign(onset=failed["key"].map(onset_texts(results)))
    columns = ["variant", "seed", "outcome", "onset", "steps", "budget", "reason"]
    table = failed[columns].head(MOST_FAILURES).reset_index(drop=True)
    return [Figure("failed-runs", "Failed runs", f"{finding}.{cut}", None, table)]


def _groups(factor: str, runs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(dataset and model, runs) where the factor varies within them and levels pool several variants."""
    # failure rates on different data or models differ for reasons other than the factor
    others = [name for name in ("dataset", "model") if name != factor]
    for common, runs_within in runs.groupby(others, sort=False, observed=True):
        if 1 < runs_within[factor].nunique() < runs_within["variant"].nunique():
            yield "/".join(plain_text(name) for name in common), runs_within


def _levels(factor: str, title: str, within: str, runs: pd.DataFrame) -> pd.DataFrame:
    failed = (runs["outcome"] != Outcome.FINISHED).groupby(runs[factor], sort=False, observed=True)
    counts = failed.agg(["size", "sum"])
    onsets = runs["onset_step"].astype("float64").groupby(runs[factor], sort=False, observed=True)
    intervals = [stats.wilson(int(k), int(n)) for n, k in counts.to_numpy()]
    table = pd.DataFrame(
        {
            "within": within,
            title: counts.index.astype(str),
            "runs": counts["size"].to_numpy(dtype=int),
            "failures": counts["sum"].to_numpy(dtype=int),
            "failure_rate": (counts["sum"] / counts["size"]).to_numpy(dtype=float),
            "failure_low": [interval.low for interval in intervals],
            "failure_high": [interval.high for interval in intervals],
            "first_onset": onsets.min().to_numpy(),
            "median_onset": onsets.median().to_numpy(),
        }
    ).sort_values("failure_rate", ascending=False, kind="stable", ignore_index=True)
    return table.assign(p_against_least=_against_last(table))


def _against_last(table: pd.DataFrame) -> list[float]:
    """p of each level against the last one, times the number of pairs that could have been chosen."""
    counts = list(zip(table["failures"].tolist(), table["runs"].tolist(), strict=True))
    pairs = len(counts) * (len(counts) - 1) / 2
    # equal counts have equal p, and the exact test is slow: each once
    p = {count: min(1.0, pairs * stats.rates_differ(*count, *counts[-1])) for count in set(counts[:-1])}
    return [*(p[count] for count in counts[:-1]), math.nan]


def _finding(title: str, table: pd.DataFrame) -> str:
    plural = f"{title}{'es' if title.endswith('s') else 's'}"
    worst, least = ties.worst(table), ties.least(table)
    p, onset = worst["p_against_least"].min(), worst["median_onset"].iloc[0]
    # tied levels have different medians, of which none is that of all
    when = "" if pd.isna(onset) or len(worst) > 1 else f", half of these by step {onset:.0f}"
    return (
        f"Of the {plural} on {worst['within'].iloc[0]}, {_named(worst[title])} failed most, in "
        f"{ties.counted(worst, _rate)}{when}, and {_named(least[title])} least, in "
        f"{ties.counted(least, _rate)}; the difference is {'' if p <= ALPHA else 'not '}significant "
        f"({p_equation(p)}, exact test of counts pooled over all other settings, Bonferroni-corrected for "
        f"all pairs of {len(table)} {plural})."
    )


def _named(levels: pd.Series) -> str:
    return listed([plain_text(level) for level in levels])


def _rate(row: Mapping[Any, Any]) -> str:
    return percent(row["failure_rate"])
