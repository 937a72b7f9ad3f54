"""Metrics of a stack's runs at one step. Evaluation has streams of its own and disturbs nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation, Metric
from ganbench.engine import boundary, sheets
from ganbench.engine.features import FeatureRecorder, Features, PointFeatures
from ganbench.engine.game_view import PlayedGame
from ganbench.engine.program import Program, Values
from ganbench.engine.sampling import Sampler
from ganbench.engine.tables import floating, held_out_tables, picked, sizes
from ganbench.engine.trainers import Runs, unstacked
from ganbench.game import Joint
from ganbench.game.draws import stream
from ganbench.game.nets import Named
from ganbench.game.step import State
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EvaluateConfig, EvaluationRow


@dataclass(frozen=True)
class _Where:
    """Where metrics are taken: a run, a step, and the weights of the two kinds."""

    run: int
    seed: int
    values: Values
    step: int
    weights: str
    joint: Joint
    buffers: Named


class Evaluator:
    """Takes the variant's metrics. Raises BadInput at once where one of them cannot be taken.

    Arguments:
        threads: runs that are evaluated at once. On a GPU one process trains all runs, and most metrics
            compute on the CPU, whose other cores would stand idle.
    """

    def __init__(
        self,
        settings: EvaluateConfig,
        catalogue: Catalogue,
        program: Program,
        runs: Runs,
        data: Data,
        threads: int = 1,
    ) -> None:
        self._program, self._runs, self._data = program, runs, data
        self._sampler, self._threads = Sampler(program), threads
        self._n = settings["samples"]
        self._metrics: list[Metric] = [
            create(catalogue.get("metric", entry["name"]).cls, entry["options"], entry["name"])
            for entry in settings["metrics"]
        ]
        self._rows = _held_out(data, self._n, program.dtype)
        # Rows repeat where a table is smaller than n; what the model shows is taken of each only once.
        distinct = min([self._n, *map(len, held_out_tables(data).values())])
        self._distinct = {name: rows[:distinct] for name, rows in self._rows.items()}
        self.features = Features(settings, catalogue, data, program.dtype)
        for metric in self._metrics:
            self.features.prepare(metric.extractor_for(data))

    def measure(self, state: State, step: int, alive: Sequence[int]) -> list[EvaluationRow]:
        """Rows of the runs in `alive` at a stacked state, in their order."""
        if self._threads == 1 or len(alive) < 2:
            rows = [self._measure_one(run, state, step, self._program) for run in alive]
        else:
            rows = self._measure_threaded(alive, state, step)
        return [*chain.from_iterable(rows)]

    def _measure_threaded(self, alive: Sequence[int], state: State, step: int) -> list[list[EvaluationRow]]:
        first, *others = alive
        # the first alone: what all runs share, such as features of real samples, is then computed once
        rows = [self._measure_one(first, state, step, self._program)]
        own = threading.local()  # evaluating swaps parameters into modules: a thread needs its own

        def begin() -> None:
            own.program = self._program.twin()

        def one(run: int) -> list[EvaluationRow]:
            return self._measure_one(run, state, step, own.program)

        with ThreadPoolExecutor(self._threads, initializer=begin) as pool:
            return [*rows, *pool.map(one, others)]

    def sheet(self, state: State, run: int) -> bytes | None:
        """A picture of what the run draws from latents that are always the same; None where none can be.

        Of models that show reconstructions, with some of those.
        """
        n = sheets.wanted(self._data)
        if not n:
            return None
        seed, single = self._runs.seeds[run], unstacked(state, run)
        *_, (_, joint) = self._points(single, self._runs.values[run])  # averaged weights if there are any
        rows = _held_out(self._data, n, self._program.dtype)
        batch = rows | self._sampler.draws(n, seed, "sheet", self._data.test.device)
        samples = self._sampler.sample(joint, single.buffers, batch)
        if samples.dim() == 4 and "reconstruction" in self._program.model.shows:
            inspected = self._sampler.inspect(joint, single.buffers, batch)
            samples = sheets.with_pairs(samples, rows["data"], inspected["reconstruction"])
        return sheets.sheet(samples, self._data)

    def real_sheet(self) -> bytes | None:
        """A picture of held-out samples; None where none can be."""
        n = sheets.wanted(self._data)
        return sheets.sheet(self._data.test[:n], self._data) if n else None

    def _measure_one(self, run: int, stack: State, step: int, program: Program) -> list[EvaluationRow]:
        rows: list[EvaluationRow] = []
        state, seed, values = unstacked(stack, run), self._runs.seeds[run], self._runs.values[run]
        for weights, joint in self._points(state, values):
            at = _Where(run, seed, values, step, weights, joint, state.buffers)
            point = _Point(program, self._data, self.features, self._rows, self._distinct, at)
            for metric in self._metrics:
                rows += self._values(metric, point, at)
        return rows

    def _values(self, metric: Metric, point: _Point, at: _Where) -> list[EvaluationRow]:
        """What a metric measures, and all that its values depend on beside the samples."""
        evaluation, recorder = point.asked_by(metric)
        values = boundary.measured(metric, metric.measure(evaluation))
        extractor = metric.extractor_for(self._data)
        return [
            EvaluationRow(
                run=at.run,
                step=at.step,
                weights=at.weights,
                metric=name,
                value=value,
                n=self._n,
                n_real=recorder.n_real,
                extractor=extractor,
                dimensions=recorder.dimensions,
                extractor_digest=self.features.digest(extractor) if extractor else None,
            )
            for name, value in values.items()
        ]

    def _points(self, state: State, values: Values) -> list[tuple[str, Joint]]:
        """Where metrics are taken: at the weights, and where a technique averages them, there too."""
        point = self._program.rule(values).evaluated(state.joint, state.memory)
        # Identity suffices: a rule that averages nothing returns the point itself.
        averaged = any(point[player] is not flat for player, flat in state.joint.items())
        return [("raw", state.joint), *([("ema", point)] if averaged else [])]


class _Point:
    """One run's samples at one point, and what else metrics look at there, made once for all metrics.

    Arguments:
        rows: of the held-out tables, one a sample.
        distinct: as many of them as there are without repetition.
    """

    def __init__(
        self,
        program: Program,
        data: Data,
        features: Features,
        rows: dict[str, Tensor],
        distinct: dict[str, Tensor],
        at: _Where,
    ) -> None:
        self._sampler, self._data, self._at = Sampler(program), data, at
        self._rows, self._distinct, self._features = rows, distinct, features
        self._device = data.test.device
        draws = self._draws(len(rows["data"]), "evaluate")
        samples = self._sampler.sample(at.joint, at.buffers, rows | draws)
        self._of_samples = PointFeatures(features, samples)
        self._view = PlayedGame(program, at.values, data, at.joint, at.buffers, at.seed, at.step)

    def asked_by(self, metric: Metric) -> tuple[Evaluation, FeatureRecorder]:
        """What a metric sees, and the record of what it asks for."""
        recorder = FeatureRecorder(self._features, self._of_samples)
        evaluation = Evaluation(
            samples=self._of_samples.samples,
            data=self._data,
            real=recorder.real,
            features=recorder.features,
            # a stream of its own, whatever other metrics draw
            generator=stream(self._device, self._at.seed, "metric", metric.name, self._at.step),
            point=self._at.joint,
            given=self._rows,
            inspected=lambda: self._inspected,
            labels=self._features.labels,
            probabilities=self._features.probabilities,
            view=self._view,
        )
        return evaluation, recorder

    @cached_property
    def _inspected(self) -> Mapping[str, Tensor]:
        """What the model shows, made when a metric first asks for it; few do."""
        draws = self._draws(len(self._distinct["data"]), "inspect")
        shows = self._sampler.inspect(self._at.joint, self._at.buffers, self._distinct | draws)
        return {**shows, **{f"given/{name}": table for name, table in self._distinct.items()}}

    def _draws(self, n: int, role: str) -> dict[str, Tensor]:
        return self._sampler.draws(n, self._at.seed, role, self._device, self._at.step)


def _held_out(data: Data, n: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """n rows of each held-out table, in an order that is always the same; again from its start at its end."""
    tables = held_out_tables(data)
    rows = {
        # Seed 0 for all runs: they are compared on the same held-out rows.
        order: torch.randperm(size, generator=stream("cpu", 0, "held-out", order.key))[torch.arange(n) % size]
        for order, size in sizes(tables).items()
    }
    return floating(picked(tables, rows), dtype)
