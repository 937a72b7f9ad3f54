"""What is said of a run that is healthy at first and has a fault from some evaluation to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.collapse.battery import Battery
from benchmarks.collapse.faults import FAULTS, Fault, healthy, untrained
from ganbench.judging.outcomes import Outcome, Verdict
from ganbench.judging.thresholds import Thresholds
from ganbench.judging.verdict import judge

JUDGE = "discriminator"
BUDGET = 5000
EVERY = 500
ONSET = 3000
"""The first evaluation with the fault."""
METRICS = ("modes", "fid")
"""What a suite takes, as far as it fits the data."""

BEYOND = {
    "modes shrunk x .1": "all modes are there, and FID rises little beside the gain since the start",
    "modes blurred": "all modes are there, and FID rises little beside the gain since the start",
    "copies of the training set": "samples follow the law of the data",
    "10% outliers": "all modes are there, and FID rises little beside the gain since the start",
}
"""Why a run with that fault, where it is called finished, is."""


@dataclass(frozen=True)
class Judged:
    """A run with a fault, and its verdict."""

    fault: str
    verdict: Verdict

    @property
    def failed(self) -> bool:
        """Anything but finished."""
        return self.verdict.outcome != Outcome.FINISHED


def judged(
    battery: Battery,
    faults: Mapping[str, Fault] = FAULTS,
    thresholds: Thresholds | None = None,
    metrics: tuple[str, ...] = METRICS,
) -> list[Judged]:
    """The verdicts: of a run without a fault first, then of each."""
    start = {0: battery.measure(untrained, "run/0", metrics)}
    good = {
        step: battery.measure(healthy, f"run/{step}", metrics) for step in range(EVERY, BUDGET + 1, EVERY)
    }
    verdicts = []
    for name, fault in {"none": healthy, **faults}.items():
        late = {
            step: battery.measure(fault, f"run/{name}/{step}", metrics)
            for step in range(ONSET, BUDGET + 1, EVERY)
        }
        verdicts.append(Judged(name, _judge(battery, {**start, **good, **late}, thresholds or Thresholds())))
    return verdicts


def _judge(battery: Battery, evaluations: Mapping[int, Mapping[str, float]], given: Thresholds) -> Verdict:
    modes = battery.subject.data.modes
    rows = [
        {"step": step, "metric": metric, "value": value}
        for step, values in evaluations.items()
        for metric, value in values.items()
    ]
    return judge(
        _ordinary(),
        pd.DataFrame(rows),
        thresholds=given,
        budget=BUDGET,
        directions=battery.directions,
        critic=False,
        judges=(JUDGE,),
        modes=None if modes is None else len(modes),
    )


def _ordinary() -> pd.DataFrame:
    """A trace in which nothing happens: the samples alone are to be judged."""
    generator, tables = np.random.default_rng(0), []
    for player in (JUDGE, "generator"):
        norms = np.exp(0.3 * generator.normal(size=BUDGET))
        accuracy = 0.6 + 0.05 * generator.normal(size=BUDGET) if player == JUDGE else np.nan
        tables.append(
            pd.DataFrame(
                {
                    "step": np.arange(1, BUDGET + 1),
                    "player": player,
                    "loss": generator.normal(size=BUDGET),
                    "grad_norm": norms,
                    "update_norm": 1e-3 * norms,
                    "weight_norm": 10.0,
                    "real_accuracy": accuracy,
                    "fake_accuracy": accuracy,
                    "logit_gap": 0.5 * np.abs(accuracy),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
