"""LaTeX: text that is never a command, and tables by booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from ganbench.text import number, plain_text

# `translate` takes one pass, so the braces and backslashes of a replacement are not escaped again.
_ESCAPES = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        # in the default font encoding (OT1) these three print as other characters
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # TeX turns straight quotes into curly ones
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
        "'": r"\textquotesingle{}",
        "∞": r"$\infty$",
        "–": r"\textendash{}",
        "…": r"\ldots{}",
        "±": r"$\pm$",
        "°": r"$^\circ$",
    }
)


def escape(value: object) -> str:
    """One line of text that LaTeX prints literally. The fonts of pdfLaTeX have no emoji or other scripts."""
    text = plain_text(value).translate(_ESCAPES)
    return re.sub("(?<=-)-", "{}-", text)  # two hyphens would be a dash


def latex_table(frame: pd.DataFrame, caption: str = "", label: str = "", notes: Iterable[str] = ()) -> str:
    r"""A frame as a table by booktabs; see `booktabs` for what it needs. All of it is plain text."""
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    rows = [[_cell(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    right = [index for index, is_numeric in enumerate(numeric) if is_numeric]
    return booktabs(
        [escape(name) for name in frame.columns],
        rows,
        right,
        escape(caption),
        label,
        [escape(n) for n in notes],
    )


def booktabs(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Iterable[int] = (),
    caption: str = "",
    label: str = "",
    notes: Sequence[str] = (),
) -> str:
    r"""A table of cells that are LaTeX already.

    It needs \usepackage{booktabs} and, with pdfLaTeX, \usepackage[T1]{fontenc} and \usepackage{textcomp}.

    Arguments:
        right: columns to align right.
        caption: LaTeX too; with one the table floats, without one it is a bare tabular.
        label: for \ref, of a table that floats.
        notes: sentences beneath it, LaTeX too.
    """
    aligned = set(right)
    columns = "".join("r" if index in aligned else "l" for index in range(len(headers)))
    body = [_row(cells) for cells in rows]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _row(headers), r"\midrule", *body]
    lines += [r"\bottomrule", r"\end{tabular}"]
    # the empty line ends the paragraph of the tabular, so that the notes stand below it
    if notes:
        lines += ["", r"\medskip", r"\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}"]
    if caption:
        # \label after \caption, which sets the number that \ref prints
        heading = [rf"\caption{{{caption}}}", *([rf"\label{{{_key(label)}}}"] if label else [])]
        lines = [r"\begin{table}", r"\centering", *heading, *lines, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    """Empty braces before "[" or "*", which LaTeX would read as an argument of the line end before it."""
    text = " & ".join(cells) + r" \\"
    return "{}" + text if text.startswith(("[", "*")) else text


def _cell(cell: object) -> str:
    # by identity: pd.NA == anything is pd.NA, which has no truth value
    if cell is None or cell is pd.NA:
        return ""
    return escape(number(cell) if isinstance(cell, float) else cell)


def _key(label: str) -> str:
    # characters such as "#" and "%" would break \label
    return re.sub(r"[^A-Za-z0-9:.-]+", "-", label)
