"""Short names of variants: what tells one from the others."""

from __future__ import annotations

from collections.abc import Sequence


def told_apart(labels: Sequence[str]) -> dict[str, str]:
    """Label -> the parts between "/" in which labels differ: "ring/mlp-gan/hinge/r1" becomes "hinge/r1".

    Parts that all labels with the same beginning share are left out. Where that makes two labels equal, they
    stay as they are.
    """
    parts = {label: label.split("/") for label in labels}
    after: dict[tuple[str, ...], set[str]] = {}
    for own in parts.values():
        for index, part in enumerate(own):
            after.setdefault(tuple(own[:index]), set()).add(part)
    short = {
        label: "/".join(part for index, part in enumerate(own) if len(after[tuple(own[:index])]) > 1) or label
        for label, own in parts.items()
    }
    counts: dict[str, int] = {}
    for name in short.values():
        counts[name] = counts.get(name, 0) + 1
    return {label: name if counts[name] == 1 else label for label, name in short.items()}
