"""What stacks and owners of components are called where they are shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def owner_shown(recorded: str) -> str:
    """An owner as stacks record it, for people: a single file has no version."""
    return recorded.removesuffix(" 0") if recorded.endswith(".py 0") else recorded


def stack_label(labels: Sequence[str]) -> str:
    """The label that a stack's variants share, with "[3 values of r1.gamma]" in place of what is swept.

    Arguments:
        labels: of the stack's runs, each as often as it has seeds.
    """
    first, *others = dict.fromkeys(labels)
    if not others:
        return first
    split = [label.removesuffix("]").rpartition(" [") for label in (first, *others)]
    shown = [_assigned(inside) for _, _, inside in split]
    same = {(base, *(name for name, _ in pairs)) for (base, _, _), pairs in zip(split, shown, strict=True)}
    if len(same) > 1 or not all(label.endswith("]") for label in labels):
        return f"{first} and {len(others)} more"
    return f"{split[0][0]} [{', '.join(map(_values, zip(*shown, strict=True)))}]"


def _assigned(inside: str) -> list[tuple[str, str]]:
    """(name, value) of each part of "a=1, b=2"."""
    pairs = (part.partition("=") for part in inside.split(", "))
    return [(name, value) for name, _, value in pairs]


def _values(pairs: Sequence[tuple[str, str]]) -> str:
    name, values = pairs[0][0], {value for _, value in pairs}
    return f"{name}={pairs[0][1]}" if len(values) == 1 else f"{len(values)} values of {name}"


def first_line(error: object) -> str:
    """The first line of an error's message, "no message" where it has none."""
    return str(error).strip().partition("\n")[0] or "no message"


def slug(text: str, limit: int = 60) -> str:
    """A lower-case file name of a-z, 0-9 and "-", safe everywhere, from any text ("stack" from none)."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower())[:limit].strip("-") or "stack"
