"""Names of variants as they stand in figures, tables and sentences: short, whole, on one line or two."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ganbench.report.tables import plain_text
from ganbench.report.terminal import break_label
from ganbench.results import Results
from ganbench.results.labels import told_apart

_PARTS = ("dataset", "model", "loss", "techniques")
"""Columns of the runs of which a label is made, "/" between them."""
LONGEST, PART = 96, 44
"""Characters of a label, and of a name or an option in it."""
_SLASH = "\0"
"""Stands for a "/" within a name while labels are told apart."""


def labels_of(results: Results) -> dict[str, str]:
    """Variant -> its short label, the same in all figures."""
    rows = results.runs.drop_duplicates("variant")[["variant", *_PARTS]].astype(str)
    return short_labels({variant: names for variant, *names in rows.to_numpy().tolist()})


def short_labels(variants: Mapping[str, Sequence[str]] | Sequence[str]) -> dict[str, str]:
    """Variant -> what tells it from the others, as one line of plain text, unlike the other ones.

    "ring/mlp-gan/hinge/r1" becomes "hinge/r1" where all variants are of ring and mlp-gan.
    """
    labels: dict[str, str] = {}
    for variant, name in whole_names(variants).items():
        parts = re.sub("[^/+, ]+", lambda part: shortened(part[0], PART), plain_text(name))
        label = shortened(parts or "unnamed", LONGEST)
        taken = sum(other.split(" #")[0] == label for other in labels.values())
        labels[variant] = f"{label} #{taken + 1}" if taken else label
    return labels


def whole_names(variants: Mapping[str, Sequence[str]] | Sequence[str]) -> dict[str, str]:
    """Variant -> what tells it from the others. A name that has a "/" in it is never cut there.

    Arguments:
        variants: labels, with the names that each is made of where they are known.
    """
    known = variants if isinstance(variants, Mapping) else {}
    masked = {variant: _masked(variant, known.get(variant, ())) for variant in variants}
    short = told_apart(list(masked.values()))
    return {variant: short[text].replace(_SLASH, "/") for variant, text in masked.items()}


def _masked(label: str, names: Sequence[str]) -> str:
    """The label with "/" only between its names. Of names that are not known the last may have some."""
    start = "/".join(names)
    if not names or not label.startswith(start):
        names, start = label.split("/", len(_PARTS) - 1), label
    return "/".join(name.replace("/", _SLASH) for name in names) + label[len(start) :].replace("/", _SLASH)


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with "…" in place of the middle of what is longer."""
    if len(text) <= limit:
        return text
    half = limit // 2
    head, tail = text[:half], text[half + 1 - limit :]
    return f"{_upto_break(head)}…{_upto_break(tail[::-1])[::-1].lstrip('/+, ')}"


def _upto_break(text: str) -> str:
    """Without the part of a name that it ends in; the whole text where it is a single one."""
    found = re.match(".*[/+, ]", text)
    return found[0].rstrip() if found else text


def wrapped(label: str, width: int = 28) -> str:
    """The label on lines of at most `width` characters."""
    return "\n".join(break_label(label, width))


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Such as "a, b and c", "a, b, c and 4 others"."""
    shown = list(names[:limit])
    if len(names) > limit + 1:
        shown.append(f"{len(names) - limit} others")
    elif len(names) > limit:
        shown.append(names[limit])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
