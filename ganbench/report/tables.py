"""Markdown: text that is never markup, code spans, tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ganbench.text import plain_text

# "&", "<" and ">" as entities against raw HTML; "~", "$" and "@" are strike-through, formulas and
# mentions on GitHub.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {char: f"\\{char}" for char in "\\`*_{}[]()#+!|~$@"}
)


def escape(value: object) -> str:
    """One line of text that Markdown shows literally, in table cells too."""
    return plain_text(value).translate(_ESCAPES)


def code(value: object) -> str:
    """A code span of one line, not for table cells. A backtick, which would end the span, becomes a quote."""
    text = plain_text(value).replace("`", "'")
    return f"`{text}`" if text else ""


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A GitHub-flavoured table of cells that are Markdown already; `right`: columns to align right."""
    aligned = set(right)
    rule = ["--:" if index in aligned else "---" for index in range(len(headers))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headers, rule, *rows])
