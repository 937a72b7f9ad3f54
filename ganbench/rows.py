"""The rows of results: one a run, with its verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganbench.components import create
from ganbench.outcome import Thresholds, Verdict, judge
from ganbench.store import StackFolder


def rejudge(folder: StackFolder, verdict: Mapping[str, Any]) -> None:
    """Judge a finished stack again, by other thresholds."""
    old = folder.runs().sort_values("seed", kind="stable").set_index("key")
    config = {**folder.config(), "verdict": dict(verdict)}
    mine = old.loc[config["keys"]]
    died = [step if step < budget else 0 for step, budget in zip(mine["steps"], mine["budget"], strict=True)]
    seconds = (float(mine["seconds"].sum()), float(mine["evaluation_seconds"].sum()))
    folder.write_runs(run_rows(folder, config, died, seconds))
    folder.write_config(config)  # last: until then, whoever is killed here judges again


def run_rows(
    folder: StackFolder, config: Mapping[str, Any], died: Sequence[int], seconds: tuple[float, float]
) -> list[dict[str, Any]]:
    """Rows of a stack that trained to its end, judged from what it wrote.

    Arguments:
        config: the stack's, with the thresholds to judge by.
        died: the step at which each run was frozen, 0 where it was not.
        seconds: of the whole stack, training and evaluating; each run is given its share.
    """
    traces, evals = folder.traces(), folder.evals()
    thresholds = create(Thresholds, config["verdict"], "verdict")  # type: ignore[arg-type]
    by_run = dict(list(traces.groupby("run", sort=False))) if len(traces) else {}
    rows, share = [], tuple(spent / len(died) for spent in seconds)
    for run, variant in enumerate(config["variants"]):
        trace = by_run.get(run, traces.iloc[:0]).sort_values("step", kind="stable")
        verdict = judge(
            trace,
            evals[evals["run"] == run],
            thresholds=thresholds,
            budget=variant["steps"],
            directions=config["directions"],
            critic=config["critic"],
            modes=config["modes"],
        )
        steps = died[run] or variant["steps"]
        rows.append(_row(config, run, _named(verdict, config, variant), steps, share, folder))
    return rows


def failed_rows(folder: StackFolder, outcome: str, reason: str) -> list[dict[str, Any]]:
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
    owner = config["versions"].get(f"loss {name}", "?")
    return verdict._replace(reason=f"{verdict.reason} (loss {name!r} of {owner})")


def _row(
    config: Mapping[str, Any],
    run: int,
    verdict: Verdict,
    steps: int,
    seconds: tuple[float, ...],
    folder: StackFolder,
) -> dict[str, Any]:
    variant, engine = config["variants"][run], config["engine"]
    return {
        "key": config["keys"][run],
        "suite": config["suite"],
        "variant": config["labels"][run],
        "model": variant["model"]["name"],
        "loss": variant["loss"]["name"],
        "techniques": "+".join(entry["name"] for entry in variant["techniques"]) or "plain",
        "dataset": variant["dataset"]["name"],
        "seed": config["seeds"][run],
        "outcome": verdict.outcome,
        "onset_step": verdict.onset_step,
        "reason": verdict.reason,
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
