"""The highest and lowest failure rates, with every level that ties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from ganbench.text import listed


def worst(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the highest failure rate."""
    # exact: equal fractions, such as 2/3 and 4/6, divide to the same float
    return table[table["failure_rate"] == table["failure_rate"].max()]


def least(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the lowest failure rate."""
    return table[table["failure_rate"] == table["failure_rate"].min()]


def counted(tied: pd.DataFrame, rate: Callable[[Mapping[Any, Any]], str]) -> str:
    """Such as "2 of 3 runs (67%) each", or "4 of 6 runs (67%) and 2 of 3 runs (67%)".

    Arguments:
        tied: failures and runs of the rows with the same rate.
        rate: a row -> the text in brackets.
    """
    unlike = tied.drop_duplicates(["failures", "runs"])
    counts = [f"{row['failures']} of {row['runs']} runs ({rate(row)})" for row in unlike.to_dict("records")]
    return listed(counts, limit=len(counts)) + (" each" if len(tied) > 1 and len(counts) == 1 else "")
