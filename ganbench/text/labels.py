"""Labels of variants and stacks, whole and shortened.

A variant's label is "dataset/model/loss/techniques [option=value, ...]".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ganbench.text.safe import plain_text

LONGEST, PART = 96, 44
"""Characters of a short label, and of a name or an option in it."""
_NAMES = 4
"""Names in a label: dataset, model, loss, techniques."""
_SLASH = "\0"
"""Stands for a "/" within a name while labels are split at "/"."""


def owner_label(distribution: str, version: str, packaged: bool = True) -> str:
    """Who provides a component: a distribution with its version; a single file has none."""
    return f"{distribution} {version}" if packaged else distribution


def techniques_label(names: Iterable[str]) -> str:
    """The part of a label that names the techniques, such as "r1+ema"; "plain" for none."""
    return "+".join(names) or "plain"


def stack_label(labels: Sequence[str]) -> str:
    """The label that a stack's variants share, with "[3 values of r1.gamma]" in place of what is swept.

    Arguments:
        labels: one for each of the stack's runs, so each label occurs once per seed.
    """
    # without repeats, in order: the same suite always gets the same label
    first, *others = dict.fromkeys(labels)
    if not others:
        return first
    split = [label.removesuffix("]").rpartition(" [") for label in (first, *others)]
    options = [_assignments(inside) for _, _, inside in split]
    alike = {(base, *(name for name, _ in pairs)) for (base, _, _), pairs in zip(split, options, strict=True)}
    if len(alike) > 1 or not all(label.endswith("]") for label in labels):
        return f"{first} and {len(others)} more"
    return f"{split[0][0]} [{', '.join(map(_values, zip(*options, strict=True)))}]"


def _assignments(inside: str) -> list[tuple[str, str]]:
    """(name, value) of each part of "a=1, b=2"."""
    pairs = (part.partition("=") for part in inside.split(", "))
    return [(name, value) for name, _, value in pairs]


def _values(pairs: Sequence[tuple[str, str]]) -> str:
    name, values = pairs[0][0], {value for _, value in pairs}
    return f"{name}={pairs[0][1]}" if len(values) == 1 else f"{len(values)} values of {name}"


def not_as_planned(who: str, executor: str, planned: str, reason: str) -> str:
    """A sentence on what was trained in another way than planned.

    Arguments:
        who: such as "3 stacks are".
        planned: "" where an earlier version did not record it.
    """
    instead = f"not by {planned} as planned" if planned else "not as planned"
    return f"{who} trained by {executor}, {instead}: {plain_text(reason)}"


def drop_shared_start(labels: Sequence[str]) -> list[str]:
    """Labels without the leading parts between "/" that all of them share; the last part always stays."""
    parts = [label.split("/") for label in labels]
    shared = 0
    while len(labels) > 1 and all(len(p) > shared + 1 and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    return ["/".join(each[shared:]) for each in parts]


def distinct_parts(labels: Sequence[str]) -> dict[str, str]:
    """Label -> the parts between "/" in which labels differ: "ring/mlp-gan/hinge/r1" becomes "hinge/r1".

    Parts that all labels with the same beginning share are left out. Where that makes two labels equal, they
    stay as they are.
    """
    parts = {label: label.split("/") for label in labels}
    following: dict[tuple[str, ...], set[str]] = {}
    for path in parts.values():
        for index, part in enumerate(path):
            following.setdefault(tuple(path[:index]), set()).add(part)
    short = {}
    for label, path in parts.items():
        differing = (part for index, part in enumerate(path) if len(following[tuple(path[:index])]) > 1)
        short[label] = "/".join(differing) or label  # a single label shares all its parts with itself
    counts = Counter(short.values())
    return {label: name if counts[name] == 1 else label for label, name in short.items()}


def whole_names(variants: Mapping[str, Sequence[str]] | Sequence[str]) -> dict[str, str]:
    """`distinct_parts` that never cuts a name at a "/" within it.

    Arguments:
        variants: labels, with the names that each is made of where they are known.
    """
    names = variants if isinstance(variants, Mapping) else {}
    masked = {variant: _masked(variant, names.get(variant, ())) for variant in variants}
    short = distinct_parts(list(masked.values()))
    return {variant: short[text].replace(_SLASH, "/") for variant, text in masked.items()}


def _masked(label: str, names: Sequence[str]) -> str:
    """The label with "/" only between its names. Where they are unknown, extra "/" go to the last name."""
    start = "/".join(names)
    if not names or not label.startswith(start):
        names, start = label.split("/", _NAMES - 1), label
    return "/".join(name.replace("/", _SLASH) for name in names) + label[len(start) :].replace("/", _SLASH)


def short_labels(variants: Mapping[str, Sequence[str]] | Sequence[str]) -> dict[str, str]:
    """Variant -> a short label: one line of plain text, different from all others.

    "ring/mlp-gan/hinge/r1" becomes "hinge/r1" where all variants are of ring and mlp-gan.

    Arguments: as of `whole_names`.
    """
    labels: dict[str, str] = {}
    for variant, name in whole_names(variants).items():
        # each name on its own first, so that one long name does not push the others out
        parts = re.sub("[^/+, ]+", lambda part: shorten(part[0], PART), plain_text(name))
        label = shorten(parts or "unnamed", LONGEST)
        # cutting may have made two labels equal: number them
        taken = sum(other.split(" #")[0] == label for other in labels.values())
        labels[variant] = f"{label} #{taken + 1}" if taken else label
    return labels


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with "…" in place of the middle of what is longer."""
    if len(text) <= limit:
        return text
    half = limit // 2
    head, tail = text[:half], text[half + 1 - limit :]
    return f"{_to_last_break(head)}…{_to_last_break(tail[::-1])[::-1].lstrip('/+, ')}"


def _to_last_break(text: str) -> str:
    """The text without its last part, which the cut left incomplete; all of it if it has one part only."""
    complete = re.match(".*[/+, ]", text)
    return complete[0].rstrip() if complete else text
