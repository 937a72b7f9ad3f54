"""Weights & Biases."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import ganbench
from ganbench_builtin.loggers._run_facts import by_run, facts, lacking


@dataclass(frozen=True)
class WeightsAndBiases(ganbench.Logger):
    """Weights & Biases (Biewald 2020, wandb.com), one run a seed, grouped by variant.

    Metrics are its history, the resolved variant and the values of swept options its config, outcome, onset
    and reason its summary. An interrupted run goes on under the same id.

    Arguments:
        project: by default the suite's name.
        entity: user or team; by default your own.
        mode: online, offline or disabled; by default what WANDB_MODE says.
        folder: where its files go; by default to `wandb` in the folder of results.
    """

    name = "wandb"
    project: str = ""
    entity: str = ""
    mode: Literal["", "online", "offline", "disabled"] = ""
    folder: str = ""

    def available(self) -> str | None:
        """The package `wandb` is an extra."""
        return lacking("wandb", self.name)

    @cached_property
    def _session(self) -> dict[str, Any]:
        """What all runs have in common."""
        return {}

    @cached_property
    def _runs(self) -> dict[str, Any]:
        """Runs that are open, by their keys."""
        return {}

    def opened(self, root: Path, suite: Mapping[str, Any]) -> None:
        """Take note of project and folder."""
        folder = Path(self.folder) if self.folder else root
        folder.mkdir(parents=True, exist_ok=True)
        self._session.update(
            dir=str(folder),
            project=self.project or suite["suite"],
            entity=self.entity or None,
            mode=self.mode or None,
        )

    def started(self, stack: Mapping[str, Any]) -> None:
        """Open its runs, those of an earlier session again."""
        import wandb

        online = (self.mode or os.environ.get("WANDB_MODE", "online")) == "online"
        for run, key in enumerate(stack["keys"]):
            if key in self._runs:
                continue
            identity = facts(stack, run)
            place = Path(stack["folder"]).resolve().parent
            self._runs[key] = wandb.init(
                **self._session,
                id=hashlib.sha256(f"{place} {key}".encode()).hexdigest()[:16],
                name=f"{identity['variant']} seed {identity['seed']}"[:128],
                group=identity["variant"][:128],
                config={**identity, "config": stack["configs"][run], "key": key},
                resume="allow" if online else None,
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )

    def evaluated(self, stack: Mapping[str, Any], step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """One entry of each run's history."""
        for run, values in by_run(rows).items():
            self._runs[stack["keys"][run]].log(values, step=step)

    def finished(self, stack: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """The outcomes; a failure is a result, only a crash is none."""
        for row in runs:
            run = self._runs.pop(row["key"], None)
            if run:
                run.summary.update({name: row[name] for name in ("outcome", "reason", "onset_step", "steps")})
                run.finish(exit_code=int(row["outcome"] in ("crashed", "timed_out")))

    def closed(self) -> None:
        """Leave what was interrupted as it is."""
        while self._runs:
            self._runs.popitem()[1].finish(exit_code=130)
