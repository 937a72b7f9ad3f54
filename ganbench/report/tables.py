"""Numbers and names as text, and Markdown tables. Names come from outside: they are never markup."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {char: f"\\{char}" for char in "\\`*_{}[]()#+!|~$@"}
)
# Control characters (line ends, terminal escapes) and those that turn the direction of the text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def plain_text(value: Any) -> str:
    """One line of text that cannot steer a terminal or a page."""
    return _UNSAFE.sub(" ", str(value)).strip()


def escape(value: Any) -> str:
    """One line of text that Markdown shows as it is, in a table cell too."""
    return plain_text(value).translate(_ESCAPES)


def code(value: Any) -> str:
    """A code span of one line, not for table cells. A backtick would end the span: it becomes a quote."""
    text = plain_text(value).replace("`", "'")
    return f"`{text}`" if text else ""


def number(value: float) -> str:
    """Three significant digits; whole numbers below a million in full; "–" for NaN, "∞" for infinity."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) < 1e6 and (abs(value) >= 999.5 or value == round(value)):
        return f"{value:.0f}"
    return f"{value:.3g}"


def setting(value: float) -> str:
    """The value of an option, as it stands in variants' names."""
    return f"{value:g}"


def percent(rate: float) -> str:
    """A rate as a whole percentage, such as "20%"."""
    return f"{100 * rate:.0f}%"


def p_value(p: float) -> str:
    """As journals print it: ".071", ".19", "<.001"."""
    if math.isnan(p):
        return "–"
    return "<.001" if p < 0.001 else f"{p:.{3 if p < 0.0995 else 2}f}".removeprefix("0")


def told_p(p: float) -> str:
    """The same within a sentence: "p = .071", "p < .001"."""
    text = p_value(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def interval(low: float, high: float) -> str:
    """Such as "[1.5, 2]"; empty where it is unknown."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{number(low)}, {number(high)}]"


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A GitHub-flavoured table of cells that are Markdown already; `right`: columns to align right."""
    aligned = set(right)
    rule = ["--:" if index in aligned else "---" for index in range(len(headers))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headers, rule, *rows])
