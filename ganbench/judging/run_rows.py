"""The rows of results: one a run, with its verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import pandas as pd

from ganbench.components.base import create
from ganbench.judging.outcomes import Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.judging.verdict import judge
from ganbench.storage.records import EvaluationRow, RunRow, StackConfig
from ganbench.storage.schema import EVALS
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import owner_shown

Row = dict[str, Any]
STOPPED = "stopped"
"""Where a stack's config keeps the runs that were stopped as hopeless: index -> verdict."""


def rejudge(folder: StackFolder, verdict: Mapping[str, Any]) -> bool:
    """Judge a finished stack again, by other thresholds. False where what it is judged from is not there."""
    rows = judged_again(folder, verdict)
    if rows is not None:
        write_judged(folder, verdict, rows)
    return rows is not None


def judged_again(folder: StackFolder, verdict: Mapping[str, Any]) -> list[Row] | None:
    """The rows of a finished stack with verdicts by other thresholds, not written yet.

    None where traces or evaluations that were recorded cannot be read any more.
    """
    config: StackConfig = {**folder.config(), "verdict": dict(verdict)}
    old = folder.runs().set_index("key", drop=False).reindex(config["keys"])
    traces, evals = folder.traces(), folder.table("evals.parquet")
    if evals is None or old["steps"].isna().any():
        return None
    steps = [int(step) for step in old["steps"]]
    if _last_steps(traces, len(steps)) != steps:
        return None
    new = verdicts(config, traces, evals.to_pandas(), steps)
    rows: list[Row] = old.to_dict("records")  # type: ignore[assignment]
    return [{**row, **_told(one)} for row, one in zip(rows, new, strict=True)]


def write_judged(folder: StackFolder, verdict: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Put rows judged by those thresholds in place of the stack's."""
    folder.write_runs(rows)
    # last: until then, whoever is killed here judges again
    folder.write_config({**folder.config(), "verdict": dict(verdict)})


def run_rows(
    folder: StackFolder, config: Mapping[str, Any], died: Sequence[int], seconds: tuple[float, float]
) -> list[RunRow]:
    """Rows of a stack that trained to its end, judged from what it wrote.

    Arguments:
        config: the stack's, with the thresholds to judge by.
        died: the step at which each run was frozen or stopped, 0 where it was not.
        seconds: of the whole stack, training and evaluating; each run is given its share.
    """
    share = tuple(spent / len(died) for spent in seconds)
    steps = [step or variant["steps"] for step, variant in zip(died, config["variants"], strict=True)]
    judged = verdicts(config, folder.traces(), folder.evals(), steps)
    return [_row(config, run, one, steps[run], share, folder) for run, one in enumerate(judged)]


def hopeless(
    config: Mapping[str, Any], traces: pd.DataFrame, evals: Sequence[EvaluationRow], runs: Iterable[int]
) -> dict[int, Verdict]:
    """Which of the runs in training have failed for good, by the rows recorded so far."""
    table = pd.DataFrame(evals, columns=EVALS.names)
    judged = {run: _judged(config, run, traces, table, stopped=True) for run in runs}
    return {run: verdict for run, verdict in judged.items() if verdict.outcome != "finished"}


def verdicts(
    config: Mapping[str, Any], traces: pd.DataFrame, evals: pd.DataFrame, steps: Sequence[int]
) -> list[Verdict]:
    """A verdict a run of a stack that has ended. `steps` are those that each was trained."""
    judged = []
    for run, stop in enumerate(steps):
        at_stop = config.get(STOPPED, {}).get(str(run))
        verdict = _judged(config, run, traces, evals, stopped=at_stop is not None)
        if at_stop is not None:
            verdict = _of_stopped(verdict, Verdict(*at_stop), stop)
        judged.append(_named(verdict, config, config["variants"][run]))
    return judged


def _judged(
    config: Mapping[str, Any], run: int, traces: pd.DataFrame, evals: pd.DataFrame, stopped: bool
) -> Verdict:
    mine = traces[traces["run"] == run] if len(traces) else traces
    return judge(
        mine.sort_values("step", kind="stable") if len(mine) else mine,
        evals[evals["run"] == run],
        thresholds=create(Thresholds, config["verdict"], "verdict"),
        budget=config["variants"][run]["steps"],
        directions=config["directions"],
        critic=config["critic"],
        modes=config["modes"],
        stopped=stopped,
    )


def _of_stopped(verdict: Verdict, at_stop: Verdict, step: int) -> Verdict:
    """A run that was cut short has not finished, whatever thresholds it is judged by later."""
    if verdict.outcome == "finished":
        verdict = at_stop._replace(remark="stopped by other thresholds: by these it had not failed yet")
    return verdict._replace(reason=f"{verdict.reason}; stopped at step {step}")


def _last_steps(traces: pd.DataFrame, runs: int) -> list[int]:
    """The last step of each run's trace, 0 where it has none."""
    last = traces.groupby("run")["step"].max() if len(traces) else pd.Series(dtype="int64")
    return [int(step) for step in last.reindex(range(runs), fill_value=0)]


def failed_rows(folder: StackFolder, outcome: str, reason: str) -> list[RunRow]:
    """Rows of a stack that could not be trained to its end."""
    config = folder.config()
    verdict = Verdict(outcome, None, reason, None)
    step = int(folder.status().get("step") or 0)
    return [_row(config, run, verdict, step, (0.0, 0.0), folder) for run in range(len(config["seeds"]))]


def _named(verdict: Verdict, config: Mapping[str, Any], variant: Mapping[str, Any]) -> Verdict:
    """A loss that was not finite is named with its owner, for it may be at fault itself."""
    if verdict.outcome != "diverged" or " loss " not in verdict.reason:
        return verdict
    name = variant["loss"]["name"]
    owner = owner_shown(config["versions"].get(f"loss {name}", "?"))
    return verdict._replace(reason=f"{verdict.reason} (loss {name!r} of {owner})")


def _told(verdict: Verdict) -> Row:
    """The columns of a verdict."""
    first, last = verdict.evidence or (None, None)
    return {
        "outcome": verdict.outcome,
        "onset_step": verdict.onset_step,
        "reason": verdict.reason,
        "evidence_first": first,
        "evidence_last": last,
        "remark": verdict.remark,
    }


def _row(
    config: Mapping[str, Any],
    run: int,
    verdict: Verdict,
    steps: int,
    seconds: tuple[float, ...],
    folder: StackFolder,
) -> RunRow:
    variant, engine = config["variants"][run], config["engine"]
    row = {
        "key": config["keys"][run],
        "suite": config["suite"],
        "variant": config["labels"][run],
        "model": variant["model"]["name"],
        "loss": variant["loss"]["name"],
        "techniques": "+".join(entry["name"] for entry in variant["techniques"]) or "plain",
        "dataset": variant["dataset"]["name"],
        "seed": config["seeds"][run],
        **_told(verdict),
        "steps": steps,
        "budget": variant["steps"],
        "seconds": seconds[0],
        "evaluation_seconds": seconds[1],
        "device": engine["device"],
        "executor": engine["executor"],
        "mapper": engine["mapper"],
        "stack_size": engine["size"],
        "stack": folder.path.name,
        "versions": json.dumps(config["versions"], sort_keys=True),
        **{path: float(value) for path, value in config["swept"][run].items()},
    }
    return cast(RunRow, row)  # swept options are further columns
