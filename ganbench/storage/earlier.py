"""Rows of runs that an earlier version wrote, completed to today's columns.

Before verdicts had the columns `seen_by`, `player`, `probe` and `behaviour`, these facts stood in sentences
alone. The patterns below are of the sentences that were written then: they need not follow today's.

Before rows had `planned_executor` and `executor_reason`, `executor` was "eager" for runs trained one by one.
"""

from __future__ import annotations

import re

import pandas as pd

FACTS = ("seen_by", "player", "probe", "behaviour")
WAYS = ("planned_executor", "executor_reason")
# The first match counts: the general "mode collapse: " follows the two patterns that begin with it.
_REASONS = [
    (re.compile(pattern), facts)
    for pattern, facts in (
        (r"(?P<player>\S+) loss became", {"seen_by": "trace", "probe": "loss"}),
        (r"(?P<player>\S+) gradient norm ", {"seen_by": "trace", "probe": "grad_norm"}),
        (r"(?P<player>\S+) update norm became", {"seen_by": "trace", "probe": "update_norm"}),
        (r"(?P<player>\S+) weight norm became", {"seen_by": "trace", "probe": "weight_norm"}),
        (r"(?P<player>\S+) accuracies on real", {"seen_by": "trace", "probe": "real_accuracy"}),
        (r"(mode collapse: )?(?P<probe>\S+) was ", {"seen_by": "evaluation"}),
        (r"mode collapse: .* of 1000 modes", {"seen_by": "evaluation", "probe": "stacked-modes"}),
        (r"mode collapse: ", {"seen_by": "evaluation", "probe": "modes"}),
        (r"posterior collapse: ", {"seen_by": "evaluation", "probe": "active-units"}),
    )
]
_BY_METRICS = ("collapsed", "unstable")
_JUDGED = ("diverged", "exploded", "vanished", "saturated", *_BY_METRICS)


def completed_ways(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs with how they were trained, whichever version wrote them."""
    # through object: a column of nulls alone is not one of text
    texts = {name: runs[name].astype(object).fillna("").astype(runs["outcome"].dtype) for name in WAYS}
    executor = runs["executor"].mask(runs["mapper"] == "loop", "loop")
    return runs.assign(**texts, executor=executor)


def completed_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs with the facts of their verdicts, whichever version wrote them."""
    missing = runs["seen_by"].isna() if "seen_by" in runs else pd.Series(True, index=runs.index)
    if not missing.any():
        return runs
    # reindex: the oldest rows have no column `remark`
    texts = (
        runs.reindex(columns=["outcome", "reason", "remark"])[missing].astype(object).fillna("").astype(str)
    )
    facts = pd.DataFrame([_facts(*row) for row in texts.itertuples(index=False)], index=texts.index)
    columns = {
        name: facts[name].reindex(runs.index).fillna(runs[name]) if name in runs else facts[name]
        for name in FACTS
    }
    # the text type of the table that was read: object before pandas 3, str since
    return runs.assign(**{name: column.astype(runs["outcome"].dtype) for name, column in columns.items()})


def _facts(outcome: str, reason: str, remark: str) -> dict[str, str]:
    facts = dict.fromkeys(FACTS, "")
    if outcome == "timed_out":
        facts["seen_by"] = "clock"
    elif outcome in _JUDGED:
        facts["seen_by"] = "evaluation" if outcome in _BY_METRICS else "trace"
        facts |= _of_reason(reason)
    # such as "oscillating: …; recovered: …": before each colon stands the behaviour
    names = [text.partition(":")[0].replace(" ", "_") for text in remark.split("; ") if text]
    facts["behaviour"] = ", ".join(dict.fromkeys(names))
    return facts


def _of_reason(reason: str) -> dict[str, str]:
    for pattern, facts in _REASONS:
        if match := pattern.match(reason):
            return facts | {name: str(text) for name, text in match.groupdict().items()}
    return {}
