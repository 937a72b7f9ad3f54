"""Runs that lie in several folders: which one is shown, and where the copies differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.storage.stack_folder import StackFolder

_NO_RESULT = [outcome for outcome in Outcome if not outcome.has_result]
_VERDICT = ("outcome", "onset_step", "steps")
_POINT = ["key", "step", "metric", "weights"]


def chosen(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a key: one that has a result before one that has none, then the first given."""
    order = rows["outcome"].isin(_NO_RESULT).sort_values(kind="stable").index
    return rows.loc[order].drop_duplicates("key", ignore_index=True)


def conflicts(rows: pd.DataFrame, folders: Sequence[StackFolder]) -> list[str]:
    """A sentence for each two folders whose copies of the same runs differ in verdict or values.

    Arguments:
        rows: runs, copies included, with `_folder`: the index of the stack, -1 where there was none.
    """
    stored = rows[(rows["_folder"] >= 0) & rows["key"].duplicated(keep=False)]
    if stored.empty:
        return []
    roots = {index: str(folder.path.parent.parent) for index, folder in enumerate(folders)}
    shown = chosen(stored).set_index("key")
    values = {index: _values(folders[index]) for index in stored["_folder"].unique()}
    found: dict[tuple[str, str], list[str]] = {}
    for copy in stored.to_dict("records"):
        own = shown.loc[copy["key"]]
        pair = roots[own["_folder"]], roots[copy["_folder"]]
        if pair[0] != pair[1]:
            what = _difference(own, copy, values)
            found.setdefault(pair, []).extend([what] if what else [])
    return [_sentence(*pair, told) for pair, told in found.items() if told]


def _sentence(first: str, second: str, told: Sequence[str]) -> str:
    differ = "1 run differs" if len(told) == 1 else f"{len(told)} runs differ"
    return f"{differ} between {first} and {second} (as {told[0]}); those of {first} are shown"


def _difference(own: pd.Series, copy: dict[Any, Any], values: dict[int, pd.Series]) -> str:
    """What the copy has other than the run that is shown; empty where nothing."""
    who = f"{own['variant']}, seed {own['seed']}: "
    for name in _VERDICT:
        one, other = (None if pd.isna(cell) else cell for cell in (own[name], copy[name]))
        if one != other:
            return f"{who}{name} {one} against {other}"
    left, right = (_of(values[index], copy["key"]) for index in (own["_folder"], copy["_folder"]))
    if left.equals(right):
        return ""
    both = pd.concat([left, right], axis=1, keys=["one", "other"]).sort_index()
    first = both[(both["one"] != both["other"]) & both.notna().any(axis=1)].iloc[0]
    step, metric, _ = cast("tuple[int, str, str]", first.name)
    return f"{who}{metric} {first['one']:g} against {first['other']:g} at step {step}"


def _values(folder: StackFolder) -> pd.Series:
    """(key, step, metric, weights) -> value of a stack."""
    keys = dict(enumerate(folder.config().get("keys", ())))
    rows = folder.evals()
    return rows.assign(key=rows["run"].map(keys)).set_index(_POINT)["value"].sort_index()


def _of(values: pd.Series, key: str) -> pd.Series:
    return values.loc[key] if key in values.index.get_level_values("key") else values.iloc[:0].droplevel(0)
