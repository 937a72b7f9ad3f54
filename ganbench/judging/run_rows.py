"""The rows of results: one a run, with its verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import pandas as pd

from ganbench.components.base import create
from ganbench.judging.outcomes import Behaviour, Outcome, Remark, Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.judging.verdict import judge
from ganbench.storage.owners import owner_text
from ganbench.storage.records import (
    EvaluationRow,
    OptionValue,
    RunRow,
    StackConfig,
    VariantConfig,
    way_of,
)
from ganbench.storage.schema import EVALS
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import techniques_label

STOPPED: Final = "stopped"
"""Where a stack's config keeps the runs that were stopped as hopeless: index -> verdict."""


def rejudge(folder: StackFolder, verdict: Mapping[str, OptionValue]) -> bool:
    """Judge a finished stack again, by other thresholds. False if its traces or evaluations are missing."""
    rows = judged_again(folder, verdict)
    if rows is not None:
        write_judged(folder, verdict, rows)
    return rows is not None


def judged_again(folder: StackFolder, verdict: Mapping[str, OptionValue]) -> list[RunRow] | None:
    """The rows of a finished stack with verdicts by other thresholds, not written yet.

    None where traces or evaluations that were recorded cannot be read any more.
    """
    config: StackConfig = {**folder.config(), "verdict": dict(verdict)}
    old = folder.runs().set_index("key", drop=False).reindex(config["keys"])
    traces, evals = folder.traces(), folder.table("evals.parquet")
    # A verdict from incomplete rows would be wrong without a sign of it: such a stack keeps the old one.
    if evals is None or old["steps"].isna().any():
        return None
    steps = [int(step) for step in old["steps"]]
    if _last_steps(traces, len(steps)) != steps:
        return None
    new = verdicts(config, traces, evals.to_pandas(), steps)
    rows = old.to_dict("records")
    return [cast("RunRow", {**row, **_columns(one)}) for row, one in zip(rows, new, strict=True)]


def write_judged(folder: StackFolder, verdict: Mapping[str, OptionValue], rows: Sequence[RunRow]) -> None:
    """Put rows judged by those thresholds in place of the stack's."""
    folder.write_runs(rows)
    # Last: a process killed before this leaves the old thresholds, so the next one judges again.
    folder.write_config({**folder.config(), "verdict": dict(verdict)})


def run_rows(
    folder: StackFolder, config: StackConfig, died: Sequence[int], seconds: tuple[float, float]
) -> list[RunRow]:
    """Rows of a stack that finished training, judged from what it wrote.

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
    config: StackConfig, traces: pd.DataFrame, evals: Sequence[EvaluationRow], runs: Iterable[int]
) -> dict[int, Verdict]:
    """Which of the runs in training have failed for good, by the rows recorded so far."""
    table = pd.DataFrame(evals, columns=EVALS.names)
    judged = {run: _judged(config, run, traces, table, stopped=True) for run in runs}
    return {run: verdict for run, verdict in judged.items() if verdict.outcome.failed}


def verdicts(
    config: StackConfig, traces: pd.DataFrame, evals: pd.DataFrame, steps: Sequence[int]
) -> list[Verdict]:
    """A verdict a run of a stack that has ended. `steps` are those that each was trained."""
    judged = []
    for run, stop in enumerate(steps):
        at_stop = config.get(STOPPED, {}).get(str(run))
        verdict = _judged(config, run, traces, evals, stopped=at_stop is not None)
        if at_stop is not None:
            verdict = _of_stopped(verdict, Verdict.read(at_stop), stop)
        judged.append(_with_owner(verdict, config, config["variants"][run]))
    return judged


def _judged(
    config: StackConfig, run: int, traces: pd.DataFrame, evals: pd.DataFrame, stopped: bool
) -> Verdict:
    trace = traces[traces["run"] == run] if len(traces) else traces
    return judge(
        trace.sort_values("step", kind="stable") if len(trace) else trace,
        evals[evals["run"] == run],
        thresholds=create(Thresholds, config["verdict"], "verdict"),
        budget=config["variants"][run]["steps"],
        directions=config["directions"],
        critic=config["critic"],
        judges=config["judges"] if "judges" in config else _named_judges(trace),
        modes=config["modes"],
        stopped=stopped,
    )


def _named_judges(trace: pd.DataFrame) -> list[str]:
    """The judging players of an earlier version's stack, which did not record them: by name or accuracies."""
    if trace.empty:
        return []
    players = {str(name): rows for name, rows in trace.groupby("player", sort=False, observed=True)}
    return [
        player
        for player, rows in players.items()
        if player.startswith(("discriminator", "critic"))
        or ("real_accuracy" in rows and rows["real_accuracy"].notna().any())
    ]


def _of_stopped(verdict: Verdict, at_stop: Verdict, step: int) -> Verdict:
    """A run that was cut short has not finished, whatever thresholds it is judged by later."""
    if not verdict.outcome.failed:
        text = "stopped by other thresholds: by these it had not failed yet"
        verdict = at_stop.remarked([Remark(Behaviour.STOPPED, text)])
    return verdict._replace(reason=f"{verdict.reason}; stopped at step {step}")


def _last_steps(traces: pd.DataFrame, runs: int) -> list[int]:
    """The last step of each run's trace, 0 where it has none."""
    last = traces.groupby("run")["step"].max() if len(traces) else pd.Series(dtype="int64")
    return [int(step) for step in last.reindex(range(runs), fill_value=0)]


def failed_rows(folder: StackFolder, outcome: Outcome, reason: str) -> list[RunRow]:
    """Rows of a stack that could not finish training."""
    config = folder.config()
    verdict = Verdict(outcome, reason=reason, seen_by="clock" if outcome is Outcome.TIMED_OUT else "")
    step = int(folder.status().get("step") or 0)
    return [_row(config, run, verdict, step, (0.0, 0.0), folder) for run in range(len(config["seeds"]))]


def _with_owner(verdict: Verdict, config: StackConfig, variant: VariantConfig) -> Verdict:
    """A loss that was not finite is named with its owner, for it may be at fault itself."""
    is_loss = verdict.seen_by == "trace" and verdict.probe == "loss"  # a metric may have that name, too
    if verdict.outcome is not Outcome.DIVERGED or not is_loss:
        return verdict
    name = variant["loss"]["name"]
    recorded = config["versions"].get(f"loss {name}")
    owner = owner_text(recorded) if recorded else "?"
    return verdict._replace(reason=f"{verdict.reason} (loss {name!r} of {owner})")


def _columns(verdict: Verdict) -> dict[str, str | int | None]:
    """The columns of a verdict; the outcome as plain text, as parquet has it."""
    first, last = verdict.evidence or (None, None)
    return {
        "outcome": str(verdict.outcome),
        "onset_step": verdict.onset_step,
        "reason": verdict.reason,
        "evidence_first": first,
        "evidence_last": last,
        "remark": verdict.remark,
        "seen_by": verdict.seen_by,
        "player": verdict.player,
        "probe": verdict.probe,
        "behaviour": verdict.behaviour,
    }


def _row(
    config: StackConfig,
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
        "techniques": techniques_label(entry["name"] for entry in variant["techniques"]),
        "dataset": variant["dataset"]["name"],
        "seed": config["seeds"][run],
        **_columns(verdict),
        "steps": steps,
        "budget": variant["steps"],
        "seconds": seconds[0],
        "evaluation_seconds": seconds[1],
        "device": engine["device"],
        "executor": way_of(engine),
        "planned_executor": engine.get("planned", ""),
        "executor_reason": engine.get("why", ""),
        "mapper": engine["mapper"],
        "stack_size": engine["size"],
        "stack": folder.path.name,
        "versions": json.dumps(config["versions"], sort_keys=True),
        **{path: float(value) for path, value in config["swept"][run].items()},
    }
    return cast(RunRow, row)  # swept options are further columns
