"""Samples: of each variant beside real ones, and of failed runs before and after the onset."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.report.onsets import onset_texts
from ganbench.results import Results

MOST_RUNS = 12
"""Runs shown in pictures."""
MOST_BYTES = 1_500_000
"""Bytes of all pictures of failed runs together, as base64."""
MOST_GALLERY_BYTES = 3_000_000
"""Likewise of the pictures beside the summary."""
LARGEST = 200_000
"""Bytes; larger pictures are not embedded."""
_PNG = b"\x89PNG\r\n\x1a\n"  # the signature of the format: nothing else is embedded


@dataclass(frozen=True)
class Picture:
    """A sample sheet: caption, and the image as a data URI."""

    caption: str
    uri: str


@dataclass(frozen=True)
class Example:
    """A run in pictures; `onset` is text, empty if unknown."""

    variant: str
    seed: int
    outcome: str
    onset: str
    reason: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Gallery:
    """What variants generate.

    Arguments:
        real: data set -> real samples.
        samples: variant -> its best, median and worst run that finished, and a run that failed.
    """

    real: dict[str, Picture] = field(default_factory=dict)
    samples: dict[str, list[Picture]] = field(default_factory=dict)


def gallery(results: Results) -> Gallery:
    """Pictures of the variants in their order, until the page is full."""
    runs, sheets = results.runs, results.sheets
    by_key = dict(tuple(sheets.sort_values("step").groupby("key", sort=False, observed=True)))
    found, room = Gallery(), MOST_GALLERY_BYTES
    for row in results.summary().to_dict("records"):
        own = runs[(runs["variant"] == row["variant"]) & runs["key"].isin(by_key)]
        chosen = [*_finished(own, str(row["metric"]), str(row["direction"])), *_failed(own)]
        pictures = [picture for what, run in chosen for picture in _shown(what, run, by_key[run["key"]])]
        room -= sum(len(picture.uri) for picture in pictures)
        if room < 0:
            break
        if pictures:
            found.samples[row["variant"]] = pictures
            _add_real(found, results, row["variant"], str(own["dataset"].iloc[0]))
    return found


def _add_real(found: Gallery, results: Results, variant: str, dataset: str) -> None:
    path = results.real_sheets.get(variant)
    if path and dataset not in found.real:
        for picture in _picture(path, "real"):
            found.real[dataset] = picture


def _finished(runs: pd.DataFrame, metric: str, direction: str) -> Iterator[tuple[str, pd.Series]]:
    """(what it is, run) of the best, the median and the worst run that finished, each once."""
    finished = runs[runs["outcome"] == Outcome.FINISHED]
    column = f"final_{metric}"
    if column in finished:
        finished = finished.sort_values(column, ascending=direction == "lower", kind="stable")
    if finished.empty:
        return
    places = {0: "best", (len(finished) - 1) // 2: "median", len(finished) - 1: "worst"}
    # of two runs the first is best and median
    places[0] = "best" if len(finished) > 1 else "finished"
    for place, what in places.items():
        yield what, finished.iloc[place]


def _failed(runs: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """The run that failed with the median onset, or any if none is known."""
    failed = runs[runs["outcome"] != Outcome.FINISHED].sort_values("onset_step", kind="stable")
    known = failed[failed["onset_step"].notna()]
    rows = known if len(known) else failed
    if len(rows):
        run = rows.iloc[(len(rows) - 1) // 2]
        yield str(run["outcome"]), run


def _shown(what: str, run: pd.Series, sheets: pd.DataFrame) -> Iterator[Picture]:
    """The last sheet of a run; of one that failed the first at its onset or after."""
    sheet = sheets.iloc[-1]
    if run["outcome"] != Outcome.FINISHED and pd.notna(run["onset_step"]):
        after = sheets[sheets["step"] >= run["onset_step"]]
        sheet = after.iloc[0] if len(after) else sheet
    yield from _picture(sheet["path"], f"{what}: seed {run['seed']}, step {sheet['step']:,}")


def examples(results: Results) -> list[Example]:
    """Failed runs, at most one per variant and outcome, all outcomes in turn, until the page is full."""
    runs, sheets = results.runs, results.sheets
    failed = runs[(runs["outcome"] != Outcome.FINISHED) & runs["key"].isin(sheets["key"])]
    # seeds that fail alike look alike
    failed = failed.drop_duplicates(["variant", "outcome"])
    # the first of each outcome, then the second of each, so that a rare outcome is not crowded out
    turn = failed.groupby("outcome", sort=False, observed=True).cumcount()
    failed = failed.loc[turn.sort_values(kind="stable").index]
    onsets = onset_texts(results)
    selected: list[Example] = []
    room = MOST_BYTES
    for run in failed.to_dict("records"):
        sheets_of_run = sheets[sheets["key"] == run["key"]].sort_values("step")
        if len(selected) == MOST_RUNS:
            break
        onset = None if pd.isna(run["onset_step"]) else int(run["onset_step"])
        pictures = [*_around(sheets_of_run, onset), *_healthy(runs, sheets, run["variant"])]
        room -= sum(len(picture.uri) for picture in pictures)
        if room < 0:
            break
        reason = "" if pd.isna(run["reason"]) else str(run["reason"])
        when = onsets.get(run["key"], "")
        if pictures:
            selected.append(Example(run["variant"], run["seed"], run["outcome"], when, reason, pictures))
    return selected


def _around(sheets: pd.DataFrame, onset: int | None) -> Iterator[Picture]:
    """The last sheet before the onset, the first after it, and the last of all."""
    last = sheets.tail(1).assign(what="at the end")
    if onset is None:
        chosen = last
    else:
        before = sheets[sheets["step"] < onset].tail(1).assign(what="before")
        after = sheets[sheets["step"] >= onset].head(1).assign(what="at the onset or just after")
        # a run that stopped at its onset has the same sheet as "after" and "last"
        chosen = pd.concat([before, after, last]).drop_duplicates("step")
    for row in chosen.to_dict("records"):
        yield from _picture(row["path"], f"{row['what']}, step {row['step']:,}")


def _healthy(runs: pd.DataFrame, sheets: pd.DataFrame, variant: str) -> Iterator[Picture]:
    """The last sheet of a run that finished: of the same variant, else of the same dataset."""
    dataset = runs.loc[runs["variant"] == variant, "dataset"].iloc[0]
    alike = runs[(runs["dataset"] == dataset) & (runs["outcome"] == Outcome.FINISHED)]
    # runs of the same variant first, since they differ in the seed only
    alike = alike.assign(other=alike["variant"] != variant).sort_values("other", kind="stable")
    for run in alike.head(1).to_dict("records"):
        last = sheets[sheets["key"] == run["key"]].sort_values("step").tail(1)
        whose = "of another variant" if run["other"] else "of this variant"
        for row in last.to_dict("records"):
            yield from _picture(row["path"], f"for comparison: seed {run['seed']} {whose}, finished")


def _picture(path: Path, caption: str) -> Iterator[Picture]:
    """Nothing if the file is gone, too large or not a PNG."""
    try:
        # size first: a huge file is never read
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except OSError:
        return
    if content.startswith(_PNG):
        yield Picture(caption, f"data:image/png;base64,{base64.b64encode(content).decode()}")
