"""Numbers as text: values, rates, p-values, intervals, durations, sizes."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Three significant digits; whole numbers below a million in full; "–" for NaN, "∞" for infinity."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    # from 999.5 on three digits would round to 1e+03
    if abs(value) < 1e6 and (abs(value) >= 999.5 or value == round(value)):
        return f"{value:.0f}"
    return f"{value:.3g}"


def setting(value: float) -> str:
    """The value of an option, written as in labels of variants."""
    return f"{value:g}"


def percent(rate: float) -> str:
    """A rate as a whole percentage, such as "20%"."""
    return f"{100 * rate:.0f}%"


def p_value(p: float) -> str:
    """As journals print it: ".071", ".19", "<.001"; "–" for NaN."""
    if math.isnan(p):
        return "–"
    # from .0995 on, three digits would suggest more precision than a p-value has
    return "<.001" if p < 0.001 else f"{p:.{3 if p < 0.0995 else 2}f}".removeprefix("0")


def p_equation(p: float) -> str:
    """A p-value within a sentence: "p = .071", "p < .001"."""
    text = p_value(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def interval(low: float, high: float) -> str:
    """Such as "[1.5, 2]"; empty where it is unknown."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{number(low)}, {number(high)}]"


def duration(seconds: float) -> str:
    """Such as "45 s", "12 min", "3.2 h"."""
    # units change at 100 of them, not at 60: "95 s" says more than "2 min"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes in powers of 1000, such as "3.1 MB"."""
    from rich.filesize import decimal  # `ganbench --help` does without rich

    return decimal(round(count))
