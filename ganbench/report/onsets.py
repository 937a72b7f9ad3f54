"""When runs failed, as text that is only as exact as the detection: a step, or a range of steps."""

from __future__ import annotations

import pandas as pd

from ganbench.judging.outcomes import Outcome
from ganbench.judging.thresholds import Thresholds
from ganbench.results import Results


def seen_by_evaluation(runs: pd.DataFrame) -> pd.Series:
    """Flags of the runs whose failure an evaluation detected: it happened at that step or before."""
    return runs["seen_by"] == "evaluation"


def onset_texts(results: Results) -> dict[str, str]:
    """Key -> when the run failed, for each run that failed at a known step.

    "at step 327" where its trace shows it; "between steps 500 and 600" where the evaluation at 500 was judged
    and passed; "by step 500" where none before was judged.
    """
    runs = results.runs
    failed = runs[(runs["outcome"] != Outcome.FINISHED) & runs["onset_step"].notna()].set_index("key")
    by_evaluation = failed[seen_by_evaluation(failed)]
    passed = _last_passed(results, by_evaluation)
    texts = {str(key): f"at step {step:,}" for key, step in failed["onset_step"].items()}
    for key, step in zip(by_evaluation.index.astype(str), by_evaluation["onset_step"], strict=True):
        before = passed.get(key)
        texts[key] = f"by step {step:,}" if before is None else f"between steps {before:,} and {step:,}"
    return texts


def _last_passed(results: Results, by_evaluation: pd.DataFrame) -> dict[str, int]:
    """Key -> the last step before the onset at which the run was judged, and had not failed."""
    rows = results.evaluations[["key", "step"]]
    rows = rows[rows["key"].isin(by_evaluation.index)]
    rows = rows.join(by_evaluation[["onset_step", "budget"]], on="key")
    # where the evaluation at the onset has no row, others may be gone too, and "between" could be wrong
    recorded = rows.loc[rows["step"] == rows["onset_step"], "key"]
    # an evaluation during warm-up cannot have passed, because it was not judged
    judged = rows["step"] >= _warmup(results) * rows["budget"].astype(float)
    passed = rows[judged & (rows["step"] < rows["onset_step"]) & rows["key"].isin(recorded)]
    return {str(key): int(step) for key, step in passed.groupby("key")["step"].max().items()}


def _warmup(results: Results) -> float:
    """The share of a run that is not judged."""
    share = (results.lock.get("verdict") or {}).get("warmup")
    # a lock edited by hand must not cost the report
    return float(share) if isinstance(share, int | float) else Thresholds().warmup
