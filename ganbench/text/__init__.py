"""Words and numbers for people: safe text, numbers, labels of variants and stacks, line breaks."""

from ganbench.text.labels import (
    distinct_parts,
    drop_shared_start,
    not_as_planned,
    owner_label,
    short_labels,
    shorten,
    stack_label,
    techniques_label,
    whole_names,
)
from ganbench.text.lines import break_label, listed, plural, wrap_label
from ganbench.text.numbers import duration, interval, number, p_equation, p_value, percent, setting, size
from ganbench.text.safe import brief, first_line, plain_text, printable, slug

__all__ = [
    "break_label",
    "brief",
    "distinct_parts",
    "drop_shared_start",
    "duration",
    "first_line",
    "interval",
    "listed",
    "not_as_planned",
    "number",
    "owner_label",
    "p_equation",
    "p_value",
    "percent",
    "plain_text",
    "plural",
    "printable",
    "setting",
    "short_labels",
    "shorten",
    "size",
    "slug",
    "stack_label",
    "techniques_label",
    "whole_names",
    "wrap_label",
]
