"""Comparisons and leaderboards to read: a table for the terminal, Markdown, LaTeX, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from ganbench.report import latex
from ganbench.report.tables import escape, markdown_table
from ganbench.results.ranking import Leaderboard
from ganbench.storage.atomic import plain
from ganbench.text import break_label, listed, number, p_value, percent, plain_text, whole_names

_LEAST = 14  # fewest characters of a label
_GAP = 3  # characters that Rich puts between columns


@dataclass(frozen=True)
class Listing:
    """Rows to read, and the frame that they come from.

    Arguments:
        names: headers of the first columns, which hold names.
        headers: of the others, which hold figures.
        rows: cells in that order.
        notes: sentences below.
        frame: all numbers, for CSV and JSON.
        caption: of the table in LaTeX.
        label: for its \\ref; empty for none.
    """

    names: Sequence[str]
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    frame: pd.DataFrame = field(repr=False)
    caption: str
    label: str = ""

    def text(self, form: str) -> str:
        """The listing as text; `form` is "md", "latex", "csv" or "json"."""
        makers: dict[str, Callable[[], str]] = {
            "md": self._markdown,
            "latex": self._latex,
            "csv": lambda: self.frame.to_csv(index=False, lineterminator="\n"),
            "json": lambda: json.dumps(plain(_records(self.frame)), allow_nan=False) + "\n",
        }
        return makers[form]()

    def table(self, width: int) -> Table:
        """For a terminal of that width, 80 or more. If it is narrow, names go below each other."""
        taken = [max(map(len, column)) for column in zip(self.headers, *self._figures(), strict=True)]
        room = width - sum(taken) - _GAP * (len(self.headers) + len(self.names) - 1)
        # names below each other take one column, which then gets all of the room
        side_by_side = room >= 2 * _LEAST * len(self.names) or len(self.names) == 1
        # names of several lines need a rule between rows
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_lines=not side_by_side)
        table.caption_justify = "left"
        table.caption = Text("\n".join(self.notes))
        each = max(_LEAST, room // len(self.names) if side_by_side else room)
        for name in self.names if side_by_side else [" / ".join(self.names)]:
            table.add_column(name, max_width=each)
        for header in self.headers:
            table.add_column(header, no_wrap=True, justify="right")
        for row in self.rows:
            names, figures = row[: len(self.names)], row[len(self.names) :]
            broken = ["\n".join(break_label(name, each)) for name in names]
            # Text, because Rich reads "[...]" in a str as markup, and labels contain brackets
            cells = [Text(name) for name in broken] if side_by_side else [_below(broken)]
            table.add_row(*cells, *(Text(figure) for figure in figures))
        return table

    def _figures(self) -> list[Sequence[str]]:
        return [row[len(self.names) :] for row in self.rows]

    def _markdown(self) -> str:
        right = range(len(self.names), len(self.names) + len(self.headers))
        rows = [[escape(cell) for cell in row] for row in self.rows]
        table = markdown_table([*self.names, *self.headers], rows, right)
        return table + "".join(f"\n\n{escape(note)}" for note in self.notes) + "\n"

    def _latex(self) -> str:
        right = range(len(self.names), len(self.names) + len(self.headers))
        headers = [latex.escape(header) for header in (*self.names, *self.headers)]
        rows = [[latex.escape(cell) for cell in row] for row in self.rows]
        notes = [latex.escape(note) for note in self.notes]
        return latex.booktabs(headers, rows, right, latex.escape(self.caption), self.label, notes)


def _below(names: Sequence[str]) -> Text:
    text = Text(names[0])
    for name in names[1:]:
        text.append(f"\n{name}", style="dim")
    return text


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    # object first: a column of floats would turn None back into NaN, which JSON does not have
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def comparison_listing(frame: pd.DataFrame, alpha: float) -> Listing:
    """`Results.compare()` to read: each pair, the probability of being better, and p."""
    # both columns at once: how far a label can be shortened depends on all others
    short = whole_names(list(dict.fromkeys([*frame["variant"], *frame["other"]])))
    short = {label: plain_text(name) for label, name in short.items()}
    others = list(dict.fromkeys(frame["other"]))
    # a single baseline goes into a note, not into every row
    alone = len(others) == 1
    rows = []
    for row in frame.to_dict("records"):
        names = [short[row["variant"]]] if alone else [short[row["variant"]], f"v {short[row['other']]}"]
        rows.append([*names, *_compared(row, alpha)])
    metrics = dict.fromkeys(zip(frame["metric"], frame["direction"], strict=True))
    notes = [f"Against {short[others[0]]}."] if alone else []
    notes += [f"{plain_text(metric)}: {direction} is better." for metric, direction in metrics]
    notes += _how(frame, alpha)
    names = ["variant"] if alone else ["variant", "against"]
    headers = ["P(better) [95%]", "p", "values", "n", "failed"]
    baseline = f" with {short[others[0]]}" if alone else ""
    by = f" by {listed([plain_text(metric) for metric, _ in metrics])}" if metrics else ""
    return Listing(names, headers, rows, notes, frame, f"Variants compared{baseline}{by}.")


def _compared(row: Mapping[Any, Any], alpha: float) -> list[str]:
    star = "*" if row["significant"] else ""
    beyond = "" if row["reachable"] else "°"
    rates = "*" if row["p_failures_holm"] <= alpha else ""
    return [
        f"{row['effect']:.2f} [{row['effect_low']:.2f}, {row['effect_high']:.2f}]",
        f"{p_value(row['p_holm'])}{star}{beyond}",
        f"{number(row['estimate'])} v {number(row['estimate_other'])}",
        str(row["n"]) if row["n"] == row["n_other"] else f"{row['n']} v {row['n_other']}",
        f"{row['failures']} v {row['failures_other']}{rates}",
    ]


def _how(frame: pd.DataFrame, alpha: float) -> list[str]:
    """Notes that explain the numbers."""
    if frame.empty:
        return ["There are no two variants to compare."]
    clear = int(frame["significant"].sum())
    counted = f"{clear} of {len(frame)} pairs differ significantly (*)" if len(frame) > 1 else "* significant"
    notes = [
        f"{counted}: exact Mann-Whitney test, Holm-corrected p <= {alpha:g}. Failed runs rank worst.",
        "P(better): probability that a run of the variant is better than one of the other. Values: "
        "interquartile means (medians below 4 runs). failed: * rates differ (Barnard's test, Holm).",
    ]
    if not frame["reachable"].all():
        notes.append("°: with this few runs no result could be significant; train more seeds.")
    return notes


def leaderboard_listing(board: Leaderboard) -> Listing:
    """A leaderboard as rows of text, with its notes."""
    rows = [
        [
            plain_text(row["variant"]),
            # a variant that misses a task has no rank
            "–" if pd.isna(row["rank"]) else str(row["rank"]),
            "–" if pd.isna(row["mean_rank"]) else f"{row['mean_rank']:.2f}",
            f"{row['tasks']} of {len(board.tasks)}",
            f"{row['failures']} of {row['runs']}",
            f"{percent(row['failure_rate'])} [{percent(row['failure_low'])}, {percent(row['failure_high'])}]",
        ]
        for row in board.frame.to_dict("records")
    ]
    headers = ["rank", "mean rank", "tasks", "failed", "failure rate"]
    return Listing(["variant"], headers, rows, board.notes, board.frame, "Variants by mean rank.")
