"""Pairs of variants tested: which is better, by how much, and how certain that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.errors import BadInput
from ganbench.judging.outcomes import Outcome
from ganbench.results.summary import finished_values, known_runs, ranked_values
from ganbench.text import distinct_parts, p_equation

# A fixed list: an empty comparison has the same columns as a full one.
COLUMNS = (
    *("variant", "other", "metric", "direction", "n", "n_other", "estimate", "estimate_other"),
    *("effect", "effect_low", "effect_high", "p", "p_holm", "significant", "least_p", "reachable"),
    *("failures", "failures_other", "p_failures", "p_failures_holm", "finding"),
)


def check_alpha(alpha: float) -> None:
    """Raise BadInput unless `alpha` is a level of significance."""
    if not 0 < alpha < 1:
        raise BadInput(f"alpha must be between 0 and 1, such as 0.05 (got {alpha:g})")


def compared(
    runs: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    metrics: Mapping[str, str],
    directions: Mapping[str, str],
    alpha: float = 0.05,
    missing: int = 0,
) -> pd.DataFrame:
    """One row a pair; the columns are those of `Results.compare`.

    Arguments:
        runs: one row a run: variant, outcome, final_<metric>.
        pairs: (variant, other), both measured by the same metric.
        metrics: variant -> metric.
        directions: metric -> "higher" or "lower"; lower if it is not named.
        missing: runs that have no result yet; if there are any, nothing is significant.
    """
    involved = list(dict.fromkeys(label for pair in pairs for label in pair))
    # One pass over all runs; a filter for each variant would be quadratic in the number of variants.
    groups = dict(iter(runs[runs["variant"].isin(involved)].groupby("variant", sort=False, observed=True)))
    sides = {
        label: _Side(groups[label], metrics[label], directions.get(metrics[label], "lower"))
        for label in involved
    }
    frame = pd.DataFrame([_row(one, other, sides) for one, other in pairs], columns=list(COLUMNS))
    if frame.empty:
        return frame
    # Failure rates and values answer two questions: each family of tests is corrected within itself.
    for name in ("p", "p_failures"):
        frame[f"{name}_holm"] = stats.holm(frame[name].to_numpy(dtype=np.float64))
    # To test again and again as results come in raises the error rate, so the verdict waits for all runs.
    frame["significant"] = (frame["p_holm"] <= alpha) & (not missing)
    # Holm multiplies the smallest of m p-values by m: a least p above alpha / m cannot pass.
    frame["reachable"] = frame["least_p"] * len(frame) <= alpha
    # Full labels repeat what all of these variants share; sentences name only what differs.
    names = distinct_parts(involved)
    frame["finding"] = [_finding(row, names, len(frame), alpha) for row in frame.to_dict("records")]
    return frame


class _Side:
    """The runs of one variant. `costs`: their values, negated if higher is better; inf for failed runs."""

    def __init__(self, rows: pd.DataFrame, metric: str, direction: str) -> None:
        self.runs, self.failures = len(rows), int((rows["outcome"] != Outcome.FINISHED).sum())
        values = ranked_values(known_runs(rows), f"final_{metric}", direction)
        self.metric, self.direction = metric, direction
        # The tests take low as good: a failed run is inf in either direction, and ties with the others.
        self.costs = -values if direction == "higher" else values
        self.n = len(values)
        self.estimate = float(stats.median(finished_values(rows, f"final_{metric}")))


def _row(one: str, other: str, sides: Mapping[str, _Side]) -> dict[str, object]:
    ours, theirs = sides[one], sides[other]
    test = stats.mann_whitney(ours.costs, theirs.costs)
    interval = stats.superiority_interval(ours.costs, theirs.costs)
    return {
        "variant": one,
        "other": other,
        "metric": ours.metric,
        "direction": ours.direction,
        "n": ours.n,
        "n_other": theirs.n,
        "estimate": ours.estimate,
        "estimate_other": theirs.estimate,
        "effect": stats.superiority(ours.costs, theirs.costs),
        "effect_low": interval.low,
        "effect_high": interval.high,
        "p": test.p,
        "least_p": stats.least_p(ours.n, theirs.n),
        "failures": ours.failures,
        "failures_other": theirs.failures,
        "p_failures": stats.rates_differ(ours.failures, ours.runs, theirs.failures, theirs.runs),
    }


def _finding(row: Mapping[Any, Any], names: Mapping[str, str], count: int, alpha: float) -> str:
    """One sentence: which is better and how certain that is, or why nothing can be concluded."""
    one, other = names[row["variant"]], names[row["other"]]
    effect, low, high = row["effect"], row["effect_low"], row["effect_high"]
    corrected = " after Holm's correction" if count > 1 else ""
    if not row["reachable"]:
        text = (
            f"{row['n']} and {row['n_other']} runs of {one} and {other} cannot reach p = {alpha:g}{corrected}"
            f"{f' for {count} pairs' if count > 1 else ''}: train {_needed(count, alpha)} or more of each"
        )
    elif row["p_holm"] <= alpha:
        # A sentence names the better variant first, so its probability and interval are mirrored at a half.
        if effect < 0.5:
            one, other, effect, low, high = other, one, 1 - effect, 1 - high, 1 - low
        text = (
            f"{one} is better than {other}: one of its runs is better with probability {effect:.2f} "
            f"[{low:.2f}, {high:.2f}] ({p_equation(row['p_holm'])}{corrected})"
        )
        if not row["significant"]:
            text += "; it is not called significant until every run of the suite has a result"
    else:
        text = (
            f"No significant difference between {one} and {other}: a run of {one} is better with "
            f"probability {effect:.2f} [{low:.2f}, {high:.2f}] ({p_equation(row['p_holm'])}{corrected})"
        )
    return text + _of_failures(row, names, corrected, alpha)


def _of_failures(row: Mapping[Any, Any], names: Mapping[str, str], corrected: str, alpha: float) -> str:
    """An addition if the failure rates differ significantly; else empty."""
    # `not <=` instead of `>`: an undefined p is NaN, and no finding.
    if not row["p_failures_holm"] <= alpha:
        return ""
    counts = f"{row['failures']} of {row['n']} runs of {names[row['variant']]} failed, "
    counts += f"{row['failures_other']} of {row['n_other']} of {names[row['other']]}"
    return f"; {counts} ({p_equation(row['p_failures_holm'])}{corrected})"


def _needed(count: int, alpha: float) -> int:
    """The smallest number of runs per variant that can reach alpha in `count` comparisons."""
    # least_p is 2 / C(2n, n), which falls about as 4^-n: 1,000 suffices for any alpha that people use.
    return next(n for n in range(2, 1000) if stats.least_p(n, n) * count <= alpha)
