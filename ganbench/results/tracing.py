"""Traces of many runs, thinned, one stack in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ganbench.errors import BadInput, nearest
from ganbench.results.stored import Stored
from ganbench.storage.stack_folder import StackFolder

_WHERE = ["key", "variant", "seed", "step", "player"]
_RATIO, _NORMS = "update_ratio", ("update_norm", "weight_norm")


def with_ratio(table: pa.Table) -> pa.Table:
    """With the column update_ratio: how large an update is beside the weights; where both norms are there."""
    if not set(_NORMS) <= set(table.column_names):
        return table
    return table.append_column(_RATIO, pc.divide(*(table[name] for name in _NORMS)))


def curves(
    stored: Stored, folders: Sequence[StackFolder], columns: Sequence[str], points: int
) -> pd.DataFrame:
    """Rows (key, variant, seed, step, player, columns), at most `points` steps a run and player.

    Raises BadInput for a column that no trace has, and for fewer than two points.
    """
    if points < 2:
        raise BadInput(f"a curve needs 2 points or more (got {points})")
    known_columns: set[str] = set()
    tables = []
    for index, folder in enumerate(folders):
        names = folder.trace_columns()
        known_columns |= names | ({_RATIO} if names.issuperset(_NORMS) else set())
        # Files do not store the ratio; it is computed from these norms.
        read = [*columns, *(_NORMS if _RATIO in columns else ())]
        table = folder.traces_table(
            ["run", "step", "player", *(c for c in dict.fromkeys(read) if c in names)]
        )
        if table is not None and len(table):
            tables.append(_thinned(stored.labelled(index, with_ratio(table)), points))
    choices = known_columns - {"run", "step", "player"}
    for name in columns:
        # Without any trace there is no list of names to check against.
        if known_columns and name not in choices:
            raise BadInput(f"no trace has {name!r}; {nearest(name, choices)}")
    if not tables:
        return pd.DataFrame(columns=[*_WHERE, *columns])
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    frame: pd.DataFrame = whole.to_pandas()
    return frame.reindex(columns=[*_WHERE, *columns])


def _thinned(table: pa.Table, points: int) -> pa.Table:
    """Evenly spaced rows of each (run, player), in the order of steps; first and last are kept.

    All groups at once: a frame's groupby of some hundred runs takes longer than reading their traces.
    """
    # Sorts the integers of the dictionary encoding, which is faster than text.
    groups = [table.column(name).combine_chunks().indices.to_numpy() for name in ("key", "player")]
    step = table.column("step").to_numpy()
    # Rows lie in the order of steps, runs and players mixed: sorted, each group is one stretch.
    order = np.lexsort((step, groups[1], groups[0]))  # the last key is the first to sort by
    run, player = groups[0][order], groups[1][order]
    starts = np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (player[1:] != player[:-1])])
    sizes = np.diff(np.r_[starts, len(order)])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    last = np.maximum(np.repeat(sizes, sizes) - 1, 1)  # a group of one row has no span to divide by
    # `points` places cut 0..last into points - 1 equal parts. A row is kept where the number of parts that
    # are behind it grows: whole numbers alone, so that no rounding drops the last row or keeps one too many.
    passed = place * (points - 1) // last
    kept = (place == 0) | (passed > (place - 1) * (points - 1) // last)
    return table.take(pa.array(order[kept]))
