"""MLflow."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ganbench
from ganbench_builtin.loggers._run_facts import by_run, facts, lacking

_UNFIT = re.compile(r"[^\w\-. /]")


@dataclass(frozen=True)
class MLflow(ganbench.Logger):
    """MLflow (Zaharia et al. 2018, IEEE Data Engineering Bulletin 41(4)), one run a seed.

    Metrics are metrics; what identifies a run, values of swept options included, are its parameters;
    outcome, onset and reason are tags. An interrupted run goes on as the same run.

    Arguments:
        tracking: URI of the server or store; by default what MLFLOW_TRACKING_URI says, else the database
            `mlflow.db` in the folder of results.
        experiment: by default the suite's name.
    """

    name = "mlflow"
    tracking: str = ""
    experiment: str = ""

    def available(self) -> str | None:
        """The package `mlflow` (or `mlflow-skinny`) is an extra."""
        return lacking("mlflow", self.name)

    @cached_property
    def _session(self) -> dict[str, Any]:
        """The client and the experiment."""
        return {}

    @cached_property
    def _runs(self) -> dict[str, str]:
        """MLflow's ids of the runs that are open, by their keys."""
        return {}

    def opened(self, root: Path, suite: Mapping[str, Any]) -> None:
        """Find or make the experiment."""
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow.store").setLevel(logging.WARNING)  # it reports every table that it makes
        given = self.tracking or os.environ.get("MLFLOW_TRACKING_URI")
        client = MlflowClient(given or f"sqlite:///{root.resolve() / 'mlflow.db'}")
        name = self.experiment or suite["suite"]
        known = client.get_experiment_by_name(name)
        self._session["client"] = client
        self._session["experiment"] = known.experiment_id if known else client.create_experiment(name)

    def started(self, stack: Mapping[str, Any]) -> None:
        """Open its runs, those of an earlier session again."""
        for run, key in enumerate(stack["keys"]):
            if key not in self._runs:
                self._runs[key] = self._opened_before(stack, key) or self._new(stack, run)

    def _opened_before(self, stack: Mapping[str, Any], key: str) -> str | None:
        client = self._session["client"]
        wanted = f"tags.`ganbench.key` = '{key}' and tags.`ganbench.place` = '{_place(stack)}'"
        found = client.search_runs([self._session["experiment"]], wanted, max_results=1)
        for run in found:
            client.update_run(run.info.run_id, status="RUNNING")
            return run.info.run_id
        return None

    def _new(self, stack: Mapping[str, Any], run: int) -> str:
        from mlflow.entities import Param

        client, identity = self._session["client"], facts(stack, run)
        made = client.create_run(
            self._session["experiment"],
            run_name=f"{identity['variant']} seed {identity['seed']}"[:250],
            tags={"ganbench.key": stack["keys"][run], "ganbench.place": _place(stack)},
        )
        params = [Param(_UNFIT.sub("_", name), str(value)[:6000]) for name, value in identity.items()]
        client.log_batch(made.info.run_id, params=params)
        return made.info.run_id

    def evaluated(self, stack: Mapping[str, Any], step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """The metrics of each run, in one batch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for run, values in by_run(rows).items():
            metrics = [Metric(_UNFIT.sub("_", tag), value, now, step) for tag, value in values.items()]
            self._session["client"].log_batch(self._runs[stack["keys"][run]], metrics=metrics)

    def finished(self, stack: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """The outcomes; a failure is a result, only a crash is none."""
        client = self._session["client"]
        for row in runs:
            run = self._runs.pop(row["key"], None)
            if run:
                for name in ("outcome", "reason", "onset_step", "steps"):
                    client.set_tag(run, name, "" if row[name] is None else str(row[name])[:5000])
                crashed = row["outcome"] in ("crashed", "timed_out")
                client.set_terminated(run, "FAILED" if crashed else "FINISHED")

    def closed(self) -> None:
        """Say of what was interrupted that it was."""
        while self._runs:
            self._session["client"].set_terminated(self._runs.popitem()[1], "KILLED")


def _place(stack: Mapping[str, Any]) -> str:
    """Where the results lie: the same run may be trained in several places."""
    return str(Path(stack["folder"]).resolve().parent)[-5000:]
