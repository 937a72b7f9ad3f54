"""Variants in order, within a suite and over many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ganbench import stats
from ganbench.results.summary import known_runs, ranked_values
from ganbench.text import p_equation, plural

COLUMNS = (
    *("rank", "variant", "failure_rate", "failure_low", "failure_high"),
    *("estimate", "estimate_low", "estimate_high", "mean_rank", "n", "metric", "dataset"),
)
BOARD = (
    *("rank", "variant", "mean_rank", "tasks", "runs", "failures"),
    *("failure_rate", "failure_low", "failure_high", "p_best", "missing"),
)
LEAST_TASKS = 6
"""With fewer, Friedman's test has little power."""
MOST_UNRANKED = 8
"""Unranked variants that the notes name."""
_FINAL = {"final": "estimate", "final_low": "estimate_low", "final_high": "estimate_high"}


def ranked(runs: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """One row a variant, best first by its runs' mean rank; ranks begin anew for each data set and metric.

    Arguments:
        runs: one row a run: variant, dataset, outcome, final_<metric>.
        summary: one row a variant, with its metric and direction.
    """
    summary = summary[summary["metric"] != ""].rename(columns=_FINAL)
    datasets = runs.drop_duplicates("variant").set_index("variant")["dataset"]
    summary = summary.assign(dataset=summary["variant"].map(datasets))
    groups = [
        _in_order(rows, runs[runs["variant"].isin(rows["variant"])], str(metric))
        # By default pandas drops groups with a missing key: variants whose data set is unknown would vanish.
        for (_, metric), rows in summary.groupby(["dataset", "metric"], sort=False, dropna=False)
    ]
    empty = pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(groups, ignore_index=True)[list(COLUMNS)] if groups else empty


def _in_order(summary: pd.DataFrame, runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    means = mean_ranks(runs, metric, str(summary["direction"].iloc[0]))
    table = summary.assign(mean_rank=summary["variant"].map(means))
    # Variants that tie share the better rank. Int64, unlike int64, can hold a missing rank.
    table["rank"] = table["mean_rank"].rank(method="min").astype("Int64")
    # Of variants that tie, the one that fails less often comes first.
    return table.sort_values(["mean_rank", "failure_rate"], kind="stable")


def mean_ranks(runs: pd.DataFrame, metric: str, direction: str) -> pd.Series:
    """Variant -> the mean rank of its runs among all: 1 is best, ties share theirs, failures the last."""
    runs = known_runs(runs)
    values = ranked_values(runs, f"final_{metric}", direction)
    ranks = pd.Series(-values if direction == "higher" else values, index=runs.index).rank(method="average")
    means: pd.Series = ranks.groupby(runs["variant"].to_numpy()).mean()
    return means


@dataclass(frozen=True)
class Leaderboard:
    """Variants over many tasks.

    Arguments:
        frame: rank, variant, mean_rank (over tasks; 1 is best), tasks, runs, failures, failure_rate,
            failure_low, failure_high, p_best (against the first, by Wilcoxon's signed-rank test with Holm's
            correction; NaN if it was not tested), missing (tasks that it is not on); best first. Only
            variants on all tasks are ranked, among themselves; the others come last.
        tasks: their names.
        p: of the hypothesis that all are alike (Friedman 1937); NaN if it was not tested.
        critical_difference: of mean ranks (Nemenyi 1963; Demsar 2006), at .05.
        notes: sentences on what the ranks show.
    """

    frame: pd.DataFrame
    tasks: list[str]
    p: float
    critical_difference: float
    notes: list[str]


def leaderboard(runs: pd.DataFrame, summary: pd.DataFrame, by_model: bool = False) -> Leaderboard:
    """Rank variants over all data sets (Demsar 2006).

    A task is a data set with a metric. Variants on different data sets are the same if their labels agree
    after the data set. On each task variants are ranked by the mean rank of their runs, failed runs last.

    Arguments:
        runs: one row a run: variant, dataset, model, outcome, final_<metric>.
        summary: one row a variant, with its metric and direction.
        by_model: a task is a data set with a model: what is ranked are losses and techniques.
    """
    summary = summary[summary["metric"] != ""]
    parts = runs.drop_duplicates("variant").set_index("variant")[["dataset", "model"]]
    rows = summary.join(parts, on="variant")
    entries = [_split(row, by_model) for row in rows.to_dict("records")]
    rows = rows.assign(task=[task for task, _ in entries], entry=[entry for _, entry in entries])
    ranks = [_task_ranks(rows_of_task, runs) for _, rows_of_task in rows.groupby("task", sort=False)]
    table = pd.concat(ranks, axis=1) if ranks else pd.DataFrame(index=pd.Index([], name="entry"))
    counts = rows.groupby("entry", sort=False)[["runs", "failures"]].sum()
    return _board(table, counts)


def _split(row: dict[Any, Any], by_model: bool) -> tuple[str, str]:
    """(task, the label ranked there) of a variant."""
    parts = [str(row["dataset"]), *([str(row["model"])] if by_model else [])]
    label = str(row["variant"])
    for part in parts:
        label = label.removeprefix(f"{part}/")
    return "/".join([*parts, str(row["metric"])]), label


def _task_ranks(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.Series:
    """Entry -> its rank on one task."""
    entries = dict(zip(rows["variant"], rows["entry"], strict=True))
    runs = runs[runs["variant"].isin(entries)]
    runs = runs.assign(variant=runs["variant"].map(entries))
    means = mean_ranks(runs, str(rows["metric"].iloc[0]), str(rows["direction"].iloc[0]))
    return means.rank(method="average").rename(str(rows["task"].iloc[0]))


def _board(table: pd.DataFrame, counts: pd.DataFrame) -> Leaderboard:
    """Arguments: table: ranks, entries x tasks, NaN where one is not on a task; counts: runs and failures."""
    complete = table.dropna().rank()  # anew: ranks count only variants that are on all tasks
    tasks = table.notna().sum(axis=1).reindex(counts.index, fill_value=0)
    frame = counts.assign(mean_rank=complete.mean(axis=1), tasks=tasks)
    frame["rank"] = frame["mean_rank"].rank(method="min").astype("Int64")
    # An entry may be on no task at all: reindexed, it gets a row of NaN.
    absent = table.reindex(frame.index).isna().to_numpy()
    frame["missing"] = [", ".join(table.columns[lost]) for lost in absent]
    # Variants on all tasks come first: only they are ranked.
    order = frame.assign(left=-frame["tasks"]).sort_values(["left", "mean_rank"], kind="stable").index
    frame, complete = frame.loc[order], complete.reindex([e for e in order if e in complete.index])
    tested = table.shape[1] >= LEAST_TASKS and len(complete) > 1
    p = difference = math.nan
    against = np.full(len(complete), math.nan)
    if tested:
        scores = complete.to_numpy(dtype=np.float64).T
        p, difference = stats.friedman(scores), stats.critical_difference(*scores.shape)
        # Row 0 has the best variant against each; its own entry is no test.
        against = np.r_[math.nan, stats.wilcoxon_holm(scores)[0][1:]]
    intervals = [stats.wilson(k, n) for k, n in zip(frame["failures"], frame["runs"], strict=True)]
    frame = frame.assign(
        failure_rate=frame["failures"] / frame["runs"],
        failure_low=[interval.low for interval in intervals],
        failure_high=[interval.high for interval in intervals],
        # Variants that are not on all tasks have no test: reindexed, they get NaN.
        p_best=pd.Series(against, index=complete.index).reindex(frame.index),
        variant=frame.index,
    )
    notes = _notes(frame, len(table.columns), p, difference)
    return Leaderboard(frame.reset_index(drop=True)[list(BOARD)], list(table.columns), p, difference, notes)


def _notes(frame: pd.DataFrame, tasks: int, p: float, difference: float) -> list[str]:
    counted = plural(tasks, "task")
    notes = [f"Mean ranks over {counted}; within a task by the mean rank of the runs, failed runs last."]
    notes += _unranked(frame[frame["rank"].isna()])
    if math.isnan(p):
        return [*notes, f"No test: it needs at least {LEAST_TASKS} tasks with two variants on all of them."]
    alike = "could be alike" if p > 0.05 else "are not all alike"
    tested = f"The variants {alike} (Friedman, {p_equation(p)})"
    return [*notes, f"{tested}; mean ranks differ significantly if {difference:.2f} or more apart (Nemenyi)."]


def _unranked(frame: pd.DataFrame) -> list[str]:
    """Sentences on variants without a rank. Names are quoted: they may contain anything."""
    rows, left = frame.head(MOST_UNRANKED), len(frame) - MOST_UNRANKED
    pairs = zip(rows["variant"], rows["missing"], strict=True)
    notes = [f"{variant!r} is not ranked: it has no runs on {tasks!r}." for variant, tasks in pairs]
    return [*notes, *([f"{left} more are not ranked: they are not on all tasks."] if left > 0 else [])]
