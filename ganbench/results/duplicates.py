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
    # False sorts before True. Stable, so that among equals the folder given first wins.
    order = rows["outcome"].isin(_NO_RESULT).sort_values(kind="stable").index
    return rows.loc[order].drop_duplicates("key", ignore_index=True)


def conflicts(rows: pd.DataFrame, folders: Sequence[StackFolder]) -> list[str]:
    """A sentence for each two folders whose copies of the same runs differ in verdict or values.

    Arguments:
        rows: runs, copies included, with `_folder`: the index of the stack, -1 where there was none.
    """
    # Index -1 marks rows from a suite's list of failed runs: no stack holds values to compare.
    stored = rows[(rows["_folder"] >= 0) & rows["key"].duplicated(keep=False)]
    if stored.empty:
        return []
    # <root>/stacks/<stack>: the root is the path that the user gave.
    roots = {index: str(folder.path.parent.parent) for index, folder in enumerate(folders)}
    shown_runs = chosen(stored).set_index("key")
    # Reads evaluations only of stacks that hold a copy.
    values = {index: _values(folders[index]) for index in stored["_folder"].unique()}
    differences: dict[tuple[str, str], list[str]] = {}
    for copy in stored.to_dict("records"):
        original = shown_runs.loc[copy["key"]]
        pair = roots[original["_folder"]], roots[copy["_folder"]]
        # Copies within one folder come from another try of the run, which is no conflict.
        if pair[0] != pair[1]:
            difference = _difference(original, copy, values)
            differences.setdefault(pair, []).extend([difference] if difference else [])
    return [_sentence(*pair, texts) for pair, texts in differences.items() if texts]


def _sentence(first: str, second: str, differences: Sequence[str]) -> str:
    count = len(differences)
    differ = "1 run differs" if count == 1 else f"{count} runs differ"
    return f"{differ} between {first} and {second} (as {differences[0]}); those of {first} are shown"


def _difference(original: pd.Series, copy: dict[Any, Any], values: dict[int, pd.Series]) -> str:
    """The first difference between a copy and the run that is shown; empty if they agree."""
    run = f"{original['variant']}, seed {original['seed']}: "
    for name in _VERDICT:
        # NaN differs from itself, but two missing values agree.
        one, other = (None if pd.isna(cell) else cell for cell in (original[name], copy[name]))
        if one != other:
            return f"{run}{name} {one} against {other}"
    left, right = (_of(values[index], copy["key"]) for index in (original["_folder"], copy["_folder"]))
    # `Series.equals` counts NaN as equal to NaN; `==` does not.
    if left.equals(right):
        return ""
    both = pd.concat([left, right], axis=1, keys=["one", "other"]).sort_index()
    first = both[(both["one"] != both["other"]) & both.notna().any(axis=1)].iloc[0]
    step, metric, _ = cast("tuple[int, str, str]", first.name)
    return f"{run}{metric} {first['one']:g} against {first['other']:g} at step {step}"


def _values(folder: StackFolder) -> pd.Series:
    """A stack's values by (key, step, metric, weights)."""
    keys = dict(enumerate(folder.config().get("keys", ())))
    rows = folder.evals()
    return rows.assign(key=rows["run"].map(keys)).set_index(_POINT)["value"].sort_index()


def _of(values: pd.Series, key: str) -> pd.Series:
    # `.loc` raises for an absent key. The empty slice keeps the index levels that `concat` joins on.
    return values.loc[key] if key in values.index.get_level_values("key") else values.iloc[:0].droplevel(0)
