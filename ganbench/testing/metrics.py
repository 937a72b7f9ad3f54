"""Checks of metrics: what they say of a run, and of one that is nan."""

from __future__ import annotations

import dataclasses
import math
from typing import cast
from unittest import mock

import torch

from ganbench.components.base import bind
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation, Metric
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.trainers import Runs, stacked
from ganbench.errors import BadInput
from ganbench.game.step import State
from ganbench.plugins.validation import of_values
from ganbench.storage.records import EvaluateConfig
from ganbench.testing.case import Case
from ganbench.testing.findings import NotTried, Unmet, check
from ganbench.testing.untouched import generators_untouched, same, tensors_untouched

SAMPLES = 40


@check("metric")
def declares_its_values(case: Case) -> None:
    """`values` names what it measures, and which direction is better.

    Fix: values = {"my-metric": "lower"}, or "higher"; the first is the metric's own.
    """
    why = of_values(case.cls)
    if why:
        raise Unmet(why.reason)


@check("metric")
def measures_what_it_declares(case: Case) -> None:
    """All of `values` and no other, each a Python number, are measured on a toy game.

    Fix: return {name: float} with every name of `values`, computed from the evaluation alone.
    """
    _measured(case)


@check("metric")
def measures_the_same_again(case: Case) -> None:
    """Measured again, the same run gives the same values; global generators are left alone.

    Fix: draw from evaluation.generator alone, and from no global one.
    """
    with generators_untouched():
        first, again = _measured(case), _measured(case)
    if not same(first, again):
        name = next(name for name in first if not same(first[name], again.get(name)))
        raise Unmet(f"{name} was {first[name]}, then {again.get(name)}")


@check("metric")
def changes_no_samples(case: Case) -> None:
    """Samples, real samples and the data are left as they were.

    Fix: write x = x.clamp(...), not x.clamp_(...): samples are shared with other metrics.
    """
    evaluator, state = _evaluator(case)
    evaluation = _evaluation(evaluator, state)
    with (
        tensors_untouched("of the evaluation, the", {"samples": evaluation.samples}),
        tensors_untouched("of the data,", _tensors(evaluation.data)),
    ):
        case.component.measure(evaluation)
    # real samples are cached in the evaluator: a fresh one draws the same ones anew
    fresh, _ = _evaluator(case)
    for n, real in evaluator.features.real_samples.items():
        if not same(real, fresh.features.real(n)):
            raise Unmet("the real samples were changed in place")


@check("metric")
def tells_nan(case: Case) -> None:
    """Of a run whose samples are nan it reports nan, inf or the worst possible value, or raises a message.

    Fix: begin with `if not samples.isfinite().all(): return nan`.
    """
    evaluator, state = _evaluator(case)
    poisoned = state._replace(joint={who: torch.full_like(x, math.nan) for who, x in state.joint.items()})
    try:
        values = {row["metric"]: row["value"] for row in evaluator.measure(poisoned, 1, [0])}
    except BadInput:
        return
    for name, value in values.items():
        # 0 of a metric that is better when higher, such as covered modes, is honest about nan
        worst = cast("type[Metric]", case.cls).values.get(name) == "higher" and value <= 0
        if math.isfinite(value) and not worst:
            raise Unmet(f"{name} of samples that are nan is {value:.4g}")


def _measured(case: Case) -> dict[str, float]:
    evaluator, state = _evaluator(case)
    return {row["metric"]: row["value"] for row in evaluator.measure(state, 1, [0])}


def _evaluator(case: Case) -> tuple[Evaluator, State]:
    """An evaluator of the metric in a toy game that it can be taken in, and where that game begins."""
    if of_values(case.cls):
        raise NotTried("its values are not sound; see `declares-its-values`")
    # one reason a game: a metric may refuse each for another cause
    reasons: list[str] = []
    for trial in case.games():
        settings: EvaluateConfig = {
            "samples": SAMPLES,
            "metrics": [{"name": case.cls.name, "options": case.options}],
            "every": 1,
            "extractors": {},
            "probes": [],
        }
        try:
            evaluator = Evaluator(settings, trial.catalogue, trial.program, Runs((0,), ({},)), trial.data)
        except BadInput as error:
            reasons.append(str(error))
            continue
        return evaluator, stacked([trial.state()])
    raise NotTried("; ".join(dict.fromkeys(reasons)) or case.why_none())


def _evaluation(evaluator: Evaluator, state: State) -> Evaluation:
    """What the evaluator shows its metric of that state."""
    (metric,) = evaluator._metrics
    seen: list[Evaluation] = []

    def look(evaluation: Evaluation) -> dict[str, float]:
        seen.append(evaluation)
        return dict.fromkeys(metric.values, math.nan)

    # a stand-in metric receives exactly the evaluation that the real one would
    with mock.patch.object(evaluator, "_metrics", [bind(metric, {"measure": look})]):
        evaluator.measure(state, 1, [0])
    return seen[0]


def _tensors(data: Data) -> dict[str, torch.Tensor]:
    fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    return {name: x for name, x in fields.items() if isinstance(x, torch.Tensor)}
