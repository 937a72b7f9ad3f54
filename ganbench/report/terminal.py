"""The summary as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from ganbench.text import break_label, interval, number, percent, plain_text, whole_names

_GAP = 3  # between columns
_LABEL = 12  # least width of labels
_OUTCOMES = 26  # width of outcomes where labels need the room


def summary_table(frame: pd.DataFrame, width: int, notes: Iterable[str] = ()) -> Table:
    """`Results.summary()` as a table that fits in `width` columns, 80 or more.

    A variant takes one line where there is room, else two: outcomes go below the failure rate, and intervals
    below values. Where room is short, labels are without what all variants share. `notes` go below the table.
    """
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    labels = [str(row["variant"]) for row in rows]
    names, columns = _fitting(rows, labels, width, several=frame["metric"].nunique() > 1)
    room = max(_room(columns, width), _LABEL)  # below 80 columns nothing may be left
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        caption=Text("\n").join([_caption(frame), *(Text(plain_text(note)) for note in notes)]),
        caption_justify="left",
    )
    table.add_column("variant", max_width=room)
    for header in columns:
        # cells have their line ends already; Rich would break numbers anywhere
        table.add_column(header, no_wrap=True)
    for index, name in enumerate(names):
        # Text, because Rich reads "[...]" in a str as markup, and labels contain brackets
        label = Text("\n".join(break_label(name, room)))
        table.add_row(label, *(Text("\n".join(cells[index])) for cells in columns.values()))
    return table


Columns = dict[str, list[list[str]]]
"""Header -> the lines of each row's cell."""


def _fitting(
    rows: list[dict[Any, Any]], labels: list[str], width: int, several: bool
) -> tuple[list[str], Columns]:
    """Labels and columns of the first layout that fits: one line, two, or as many as it takes."""
    short = whole_names(labels)
    whole, shared = [plain_text(label) for label in labels], [plain_text(short[label]) for label in labels]
    wide, narrow = _wide(rows, several), _narrow(rows, several, width)
    for names, columns, lines in (
        (whole, wide, 1),
        (shared, wide, 1),
        (whole, narrow, 2),
        (shared, narrow, 2),
    ):
        room = _room(columns, width)
        if room >= _LABEL and all(len(break_label(name, room)) <= lines for name in names):
            return names, columns
    return whole, _narrow(rows, several, _OUTCOMES)


def _wide(rows: list[dict[Any, Any]], several: bool) -> Columns:
    columns = {
        "failed": [[_failed(row)] for row in rows],
        "outcomes": [[row["outcomes"]] for row in rows],
        "metric": [[plain_text(row["metric"])] for row in rows],
        "final": [[" ".join(_value(row))] for row in rows],
    }
    return columns if several else {name: columns[name] for name in columns if name != "metric"}


def _narrow(rows: list[dict[Any, Any]], several: bool, outcomes: int) -> Columns:
    final = [_value(row) for row in rows]
    if several:  # which metric a value is of
        final = [
            [f"{plain_text(row['metric'])} {value}".strip(), *span]
            for row, (value, *span) in zip(rows, final, strict=True)
        ]
    failed = [[_failed(row), *break_label(row["outcomes"], outcomes)] for row in rows]
    return {"failed": failed, "final": final}


def _room(columns: Columns, width: int) -> int:
    """The width that the columns leave for the labels."""
    taken = [
        max([len(header), *(len(line) for cell in cells for line in cell)])
        for header, cells in columns.items()
    ]
    return width - sum(taken) - _GAP * len(columns)


def _failed(row: Mapping[Any, Any]) -> str:
    low, high = percent(row["failure_low"]), percent(row["failure_high"])
    return f"{row['failures']} of {row['runs']}  {percent(row['failure_rate'])} [{low}, {high}]"


def _value(row: Mapping[Any, Any]) -> list[str]:
    span = interval(row["final_low"], row["final_high"])
    return [f"{number(row['final'])} (n={row['n']})", *([span] if span else [])]


def _caption(frame: pd.DataFrame) -> Text:
    # variants without a metric have no direction to explain
    measured = frame[frame["metric"] != ""].drop_duplicates("metric")
    pairs = zip(measured["metric"], measured["direction"], strict=True)
    better = ", ".join(f"{plain_text(metric)}: {direction} is better" for metric, direction in pairs)
    text = "final: median of the n runs that finished [interval, 95% from n = 6 on]."
    return Text(f"{text} {better}".strip())
