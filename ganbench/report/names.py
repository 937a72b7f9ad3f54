"""Short labels of the variants of some results, the same in all figures and tables."""

from __future__ import annotations

from ganbench.results import Results
from ganbench.text import short_labels

_PARTS = ("dataset", "model", "loss", "techniques")
"""Columns of the runs of which a label is made, "/" between them."""


def labels_of(results: Results) -> dict[str, str]:
    """Variant -> its short label."""
    # with the names, because a name may contain "/", at which a label alone would be cut
    rows = results.runs.drop_duplicates("variant")[["variant", *_PARTS]].astype(str)
    return short_labels({variant: names for variant, *names in rows.to_numpy().tolist()})
