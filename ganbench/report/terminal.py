"""The summary as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from ganbench.text import break_label, interval, number, percent, plain_text

_GAP = 3  # between columns
_LABEL = 28  # least width of labels in the wide layout
_OUTCOMES = 24  # greatest width of outcomes in the wide layout


def summary_table(frame: pd.DataFrame, width: int, notes: Iterable[str] = ()) -> Table:
    """`Results.summary()` as a table that fits in `width` columns, 80 or more.

    Failure rates come with their 95% Wilson interval, values with n and their 95% interval. If there is
    room each takes one line; else metric and outcomes go below the variant. `notes` go below the table.
    """
    rows: list[dict[Any, Any]] = frame.to_dict("records")
    columns = _wide(rows)
    room = _room(columns, width)
    wide = room >= _LABEL
    if not wide:
        columns = _narrow(rows)
        room = _room(columns, width)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        show_lines=not wide,
        caption=Text("\n").join([_caption(frame), *(Text(plain_text(note)) for note in notes)]),
        caption_justify="left",
    )
    table.add_column("variant", max_width=room)
    for header in columns:
        # cells have their line ends already; Rich would break numbers anywhere
        table.add_column(header, no_wrap=True)
    for index, row in enumerate(rows):
        # Text, because Rich reads "[...]" in a str as markup, and labels contain brackets
        label = Text("\n".join(break_label(plain_text(row["variant"]), room)))
        if not wide:
            below = f"{plain_text(row['metric'])}: {row['outcomes']}" if row["metric"] else row["outcomes"]
            label.append("\n" + "\n".join(break_label(below, room)), style="dim")
        table.add_row(label, *(Text("\n".join(cells[index])) for cells in columns.values()))
    return table


Columns = dict[str, list[list[str]]]
"""Header -> the lines of each row's cell."""


def _wide(rows: list[dict[Any, Any]]) -> Columns:
    return {
        "failed": [["  ".join(_failed(row))] for row in rows],
        "outcomes": [break_label(row["outcomes"], _OUTCOMES) for row in rows],
        "metric": [break_label(plain_text(row["metric"]), _OUTCOMES) for row in rows],
        "final": [[" ".join(_value(row, "final"))] for row in rows],
        "best": [[" ".join(_value(row, "best"))] for row in rows],
    }


def _narrow(rows: list[dict[Any, Any]]) -> Columns:
    return {
        "failed": [_failed(row) for row in rows],
        "final": [_value(row, "final") for row in rows],
        "best": [_value(row, "best") for row in rows],
    }


def _room(columns: Columns, width: int) -> int:
    """The width that the columns leave for the labels; never below 12."""
    taken = [
        max([len(header), *(len(line) for cell in cells for line in cell)])
        for header, cells in columns.items()
    ]
    # in a terminal below 80 columns nothing may be left, and no label fits in 0
    return max(12, width - sum(taken) - _GAP * len(columns))


def _failed(row: Mapping[Any, Any]) -> list[str]:
    low, high = percent(row["failure_low"]), percent(row["failure_high"])
    return [f"{row['failures']} of {row['runs']}", f"{percent(row['failure_rate'])} [{low}, {high}]"]


def _value(row: Mapping[Any, Any], when: str) -> list[str]:
    span = interval(row[f"{when}_low"], row[f"{when}_high"])
    return [f"{number(row[when])} (n={row['n']})", *([span] if span else [])]


def _caption(frame: pd.DataFrame) -> Text:
    # variants without a metric have no direction to explain
    measured = frame[frame["metric"] != ""].drop_duplicates("metric")
    pairs = zip(measured["metric"], measured["direction"], strict=True)
    better = ", ".join(f"{plain_text(metric)}: {direction} is better" for metric, direction in pairs)
    text = "Values: median of the n runs that finished [range of the true median, 95% from n = 6 on]."
    return Text(f"{text} {better}".strip())
