"""Names on lines and in sentences: broken labels, lists, plurals."""

from __future__ import annotations

import re
from collections.abc import Sequence


def break_label(label: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken after "/", "+", "," or a space where possible.

    What is longer than a line is broken after "=", "_", or before a "." or "-" that letters follow.
    """
    lines = [""]
    # parts are between the marks at which a label may break
    part = "[^/+, ]"
    within = rf"{part}{{0,{width - 1}}}[=_]|{part}{{1,{width}}}(?=[.-][A-Za-z])"
    # alternatives in order of preference: a whole part that fits, a part cut at a mark, a part cut anywhere
    for piece in re.findall(
        rf"{part}{{1,{width}}}(?!{part})[/+, ]*|{within}|{part}{{1,{width}}}|[/+, ]+", label
    ):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def wrap_label(label: str, width: int = 28) -> str:
    """The label on lines of at most `width` characters."""
    return "\n".join(break_label(label, width))


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Such as "a, b and c", "a, b, c and 4 others"; empty for none."""
    items = list(names[:limit])
    if len(names) > limit + 1:
        items.append(f"{len(names) - limit} others")
    elif len(names) > limit:  # "and 1 others" is longer than a name
        items.append(names[limit])
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def plural(count: int, noun: str) -> str:
    """Such as "1 run", "1,200 runs"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
