"""Every indicator on every fault, and whether it sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.collapse.faults import FAULTS, Fault, healthy
from benchmarks.collapse.subjects import Subject
from ganbench.components.base import create
from ganbench.components.kinds import Evaluation, Metric
from ganbench.engine.tables import as_float
from ganbench.game.draws import stream
from ganbench.plugins.discovery import Catalogue

DEVIATIONS = 4.0
"""A value stands out if it is beyond all healthy ones, and by so many standard deviations off their mean."""
REPEATS = 5
"""Evaluations of a fault, whose median counts: of few, one may lie anywhere."""

NOT_OF_SAMPLES = {
    "jacobian-eigenvalues": "looks at the game, not at samples",
    "path-angle": "looks at the game, not at samples",
    "generator-conditioning": "looks at the generator, not at samples",
    "label-agreement": "is of conditional models",
}
INVISIBLE = {
    "copies of the training set": "the law is right, and none looks for a sample in the training set",
}
"""Faults that no sample metric sees, and why."""
EXTRA = {"kid": {"kernel": "gaussian"}}
"""Metrics taken twice, on points, the second time with these options."""


@dataclass(frozen=True)
class Healthy:
    """What an indicator says of healthy samples."""

    direction: str
    values: tuple[float, ...]

    def verdict(self, value: float) -> str:
        """ "worse" or "better" than all that is healthy, by the rule, or "" for within.

        What is not finite is worse than whatever is.
        """
        known = [each for each in self.values if math.isfinite(each)]
        if not known:
            return ""
        if math.isnan(value):
            return "worse"
        sign = 1.0 if self.direction == "higher" else -1.0
        mine, theirs = sign * value, sign * np.array(known)
        reach = DEVIATIONS * theirs.std(ddof=1) if len(known) > 1 else 0.0
        if mine < min(theirs.min(), theirs.mean() - reach) - _rounding(theirs):
            return "worse"
        if mine > max(theirs.max(), theirs.mean() + reach) + _rounding(theirs):
            return "better"
        return ""


def _rounding(values: np.ndarray) -> float:
    return 1e-9 * float(np.abs(values).max())


@dataclass(frozen=True)
class Table:
    """All values of a subject: healthy resamples, and faults x indicators."""

    subject: Subject
    healthy: Mapping[str, Healthy]
    faults: Mapping[str, Mapping[str, float]]

    def verdict(self, fault: str, indicator: str) -> str:
        """See `Healthy.verdict`."""
        return self.healthy[indicator].verdict(self.faults[fault][indicator])

    def seen_by(self, fault: str, verdict: str = "worse") -> list[str]:
        """The indicators with that verdict on the fault."""
        return [indicator for indicator in self.healthy if self.verdict(fault, indicator) == verdict]


class Battery:
    """Takes every sample metric that fits a subject, as an evaluation would."""

    def __init__(self, subject: Subject, catalogue: Catalogue, folder: Path) -> None:
        self.subject, self._catalogue, self._folder = subject, catalogue, folder
        self._real = cache(self._real_samples)
        self._real_features = cache(lambda name: self._extract(name, self._real(subject.n)))
        self._extractor = cache(self._prepared)

    def table(self, resamples: int, faults: Mapping[str, Fault] = FAULTS) -> Table:
        """The values of `resamples` healthy evaluations, and medians over some of each fault."""
        every = self._repeated(healthy, "healthy", resamples)
        ranges = {
            name: Healthy(direction, tuple(values[name] for values in every))
            for name, direction in self.directions.items()
        }
        return Table(
            self.subject, ranges, {name: self._median(fault, name) for name, fault in faults.items()}
        )

    def measure(self, fault: Fault, role: str, metrics: Sequence[str] = ()) -> dict[str, float]:
        """Indicator -> value; of the metrics named, or of all. `role` names the random streams."""
        samples = fault(self.subject, stream("cpu", 0, "collapse", self.subject.name, role))
        evaluation = Evaluation(
            samples=samples,
            data=self.subject.data,
            real=self._real,
            features=self._features,
            generator=stream("cpu", 0, "collapse", self.subject.name, role, "metric"),
            point={},
            labels=lambda name, x: self._extractor(name).classify(x),
            probabilities=lambda name, x: self._extractor(name).probabilities(x).double(),
        )
        found: dict[str, float] = {}
        for label, metric in self.metrics.items():
            if not metrics or metric.name in metrics:
                extra = label.removeprefix(metric.name)
                found |= {value + extra: number for value, number in metric.measure(evaluation).items()}
        return found

    def _repeated(self, fault: Fault, role: str, times: int) -> list[dict[str, float]]:
        return [self.measure(fault, f"{role}/{i}") for i in range(times)]

    def _median(self, fault: Fault, role: str) -> dict[str, float]:
        every = self._repeated(fault, role, REPEATS)
        return {name: float(np.median([values[name] for values in every])) for name in self.directions}

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Name -> metric, for all that take samples alone and fit the data."""
        made: dict[str, Metric] = {}
        for name in self.subject.only or self._catalogue.names("metric"):
            cls: Any = self._catalogue.get("metric", name).cls
            if cls.reads or name in NOT_OF_SAMPLES or cls().fits(self.subject.data):
                continue
            made[name] = cls()
            if name in EXTRA and self.subject.data.modes is not None:
                made[f"{name} ({', '.join(EXTRA[name].values())})"] = create(cls, EXTRA[name], name)
        return made

    @cached_property
    def directions(self) -> dict[str, str]:
        """Indicator -> which direction is better."""
        return {
            value + label.removeprefix(metric.name): direction
            for label, metric in self.metrics.items()
            for value, direction in metric.values.items()
        }

    def _real_samples(self, n: int) -> Tensor:
        train = self.subject.data.train
        rows = torch.randperm(len(train), generator=stream("cpu", 0, "collapse", "real"))[:n]
        return as_float(train[rows], torch.float32)

    def _features(self, name: str, samples: Tensor) -> Tensor:
        if samples is self._real(self.subject.n):
            return self._real_features(name)
        return self._extract(name, samples)

    def _extract(self, name: str, samples: Tensor) -> Tensor:
        with torch.no_grad():
            return self._extractor(name)(samples).to("cpu", torch.float64)

    def _prepared(self, name: str) -> Any:
        cls: Any = self._catalogue.get("extractor", name).cls
        return cls().prepare(self.subject.data, self._folder)
