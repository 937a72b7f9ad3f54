"""Headers of a figure's table for readers, in place of the names of its columns."""

from __future__ import annotations

import pandas as pd

_READABLE = {
    "failures": "failed",
    "failure_low": "failure rate, 95% from",
    "failure_high": "failure rate, 95% to",
    "low": "95% from",
    "high": "95% to",
    "lower_quartile": "lower quartile",
    "upper_quartile": "upper quartile",
    "other": "against",
    "n_other": "n of the other",
    "estimate_other": "estimate of the other",
    "effect": "P(better)",
    "effect_low": "P(better), 95% from",
    "effect_high": "P(better), 95% to",
    "p_holm": "p (Holm)",
    "least_p": "least possible p",
    "reachable": "significance possible",
    "failures_other": "failed of the other",
    "p_failures": "p of failure rates",
    "p_failures_holm": "p of failure rates (Holm)",
    "grad_norm": "gradient norm",
    "events": "failures at this step",
    "at_risk": "runs at risk",
    "survival": "share not failed",
    "what": "quantity",
    "kind": "what the row is",
}
"""Column -> header, of columns whose name alone does not say what they hold."""


def with_headers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with headers in plain words; swept options keep their names."""
    names = {name: _header(name) for name in map(str, table.columns)}
    # two columns may not get the same header: then both keep their names
    taken = list(names.values())
    return table.rename(columns={name: new for name, new in names.items() if taken.count(new) == 1})


def _header(name: str) -> str:
    return _READABLE.get(name, name if "." in name else name.replace("_", " "))
