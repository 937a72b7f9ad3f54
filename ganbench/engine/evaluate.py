"""Metrics of a stack's runs at one step. Evaluation has streams of its own and disturbs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation, Metric
from ganbench.engine import boundary, sheets
from ganbench.engine.data import cache_folder, cached, digest
from ganbench.engine.extractors import extractor_of
from ganbench.engine.game_view import GameView
from ganbench.engine.program import Program, Values
from ganbench.engine.tables import INDICES, as_float, floating, held_out_tables, index_of
from ganbench.engine.trainers import Runs, unstacked
from ganbench.errors import BadInput
from ganbench.game.draws import draw, stream
from ganbench.game.step import State
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EvaluationRow

Row = dict[str, Any]
"""run (index in the stack), step, metric, value, n, extractor, weights ("raw" or, averaged, "ema"), n_real,
dimensions and extractor_digest (of the features; None where none were taken)."""


class Evaluator:
    """Takes the variant's metrics. Raises BadInput at once where one of them cannot be taken."""

    def __init__(
        self, settings: Mapping[str, Any], catalogue: Catalogue, program: Program, runs: Runs, data: Data
    ) -> None:
        self._program, self._runs, self._data, self._catalogue = program, runs, data, catalogue
        self._settings = settings
        self._n: int = settings["samples"]
        self._metrics: list[Metric] = [
            create(catalogue.get("metric", entry["name"]).cls, entry["options"], entry["name"])
            for entry in settings["metrics"]
        ]
        self._extractors: dict[str, Any] = {}
        self._rows = _held_out(data, self._n, program.dtype)
        self._distinct = min([self._n, *map(len, held_out_tables(data).values())])
        self._real: dict[int, Tensor] = {}
        self._n_real: int | None = None  # real samples that the metric now asked has seen
        self._dimensions: int | None = None  # of the features that it has seen
        self._digests: dict[str, str] = {}
        self._real_features: dict[tuple[str, int], Tensor] = {}
        for metric in self._metrics:
            self._extractor(metric.extractor_for(data))

    def measure(self, state: State, step: int, alive: Sequence[int]) -> list[EvaluationRow]:
        """Rows of the runs in `alive` at a stacked state."""
        rows = [row for run in alive for row in self._measure_one(run, unstacked(state, run), step)]
        return cast(list[EvaluationRow], rows)

    def sheet(self, state: State, run: int) -> bytes | None:
        """A picture of what the run draws from latents that are always the same; None where none can be.

        Of models that show reconstructions, with some of those.
        """
        n = sheets.wanted(self._data)
        if not n:
            return None
        seed, own = self._runs.seeds[run], unstacked(state, run)
        *_, (_, point) = self._points(own, self._runs.values[run])
        rows = _held_out(self._data, n, self._program.dtype)
        draws = self._draws(n, stream(self._data.test.device, seed, "sheet"))
        samples = self._program.sample(point, own.buffers, rows | draws)
        if samples.dim() == 4 and "reconstruction" in self._program.model.shows:
            shown = self._program.inspect(point, own.buffers, rows | draws)
            samples = sheets.with_pairs(samples, rows["data"], shown["reconstruction"])
        return sheets.sheet(samples, self._data)

    def _measure_one(self, run: int, state: State, step: int) -> list[Row]:
        points = self._points(state, self._runs.values[run])
        return [row for weights, point in points for row in self._rows_at(run, state, step, weights, point)]

    def _rows_at(
        self, run: int, state: State, step: int, weights: str, point: dict[str, Tensor]
    ) -> list[Row]:
        seed, device = self._runs.seeds[run], self._data.test.device
        draws = self._draws(self._n, stream(device, seed, "evaluate", step))

        @cache
        def inspected() -> Mapping[str, Tensor]:
            rows = {name: table[: self._distinct] for name, table in self._rows.items()}
            draws = self._draws(self._distinct, stream(device, seed, "inspect", step))
            shown = self._program.inspect(point, state.buffers, rows | draws)
            return {**shown, **{f"given/{name}": table for name, table in rows.items()}}

        samples = self._program.sample(point, state.buffers, self._rows | draws)

        @cache
        def own(name: str) -> Tensor:
            return self._extract(name, samples)

        evaluation = partial(
            Evaluation,
            samples=samples,
            data=self._data,
            real=self._real_samples,
            features=lambda name, x: self._noted(own(name) if x is samples else self._features(name, x)),
            point=point,
            given=self._rows,
            inspected=inspected,
            labels=partial(self._classes, "classify"),
            probabilities=lambda name, x: self._classes("probabilities", name, x).to("cpu", torch.float64),
            view=GameView(
                self._program, self._runs.values[run], self._data, point, state.buffers, seed, step
            ),
        )
        where, rows = Row(run=run, step=step, weights=weights), list[Row]()
        for metric in self._metrics:
            generator = stream(device, seed, "metric", metric.name, step)  # whatever other metrics draw
            rows += [where | row for row in self._values(metric, evaluation(generator=generator))]
        return rows

    def _values(self, metric: Metric, evaluation: Evaluation) -> list[Row]:
        """What a metric measures, and all that its values depend on beside the samples."""
        self._n_real = self._dimensions = None
        measured = boundary.measured(metric, metric.measure(evaluation))
        extractor = metric.extractor_for(self._data)
        taken = {
            "n": self._n,
            "n_real": self._n_real,
            "extractor": extractor,
            "dimensions": self._dimensions,
            "extractor_digest": self._extractor_digest(extractor) if extractor else None,
        }
        return [Row(metric=name, value=value, **taken) for name, value in measured.items()]

    def _draws(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        declared = self._program.model.sample_draws(self._program.spec, n)
        return draw(declared, generator, self._program.dtype)

    def _points(self, state: State, values: Values) -> list[tuple[str, dict[str, Tensor]]]:
        """Where metrics are taken: at the weights, and where a technique averages them, there too."""
        point = self._program.rule(values).evaluated(state.joint, state.memory)
        averaged = any(point[player] is not flat for player, flat in state.joint.items())
        return [("raw", state.joint), *([("ema", point)] if averaged else [])]

    def _real_samples(self, n: int) -> Tensor:
        """The same n training samples every time; all of them where there are fewer."""
        if n not in self._real:
            train = self._data.train
            order = torch.randperm(len(train), generator=stream("cpu", 0, "real", n))[:n]
            rows = train[order.to(train.device)].to(self._data.test.device)
            self._real[n] = as_float(rows, self._program.dtype)
        self._n_real = len(self._real[n])
        return self._real[n]

    def _noted(self, features: Tensor) -> Tensor:
        self._dimensions = features.shape[-1]
        return features

    def _features(self, name: str, samples: Tensor) -> Tensor:
        known = next((n for n, real in self._real.items() if real is samples), None)
        if known is None:
            return self._extract(name, samples)
        if (name, known) not in self._real_features:
            self._real_features[name, known] = cached(
                cache_folder() / "features",
                f"{self._digest}/{self._program.dtype}",
                f"{name}/{self._extractor_digest(name)}",
                known,
                lambda: self._extract(name, samples),
            )
        return self._real_features[name, known]

    def _extractor_digest(self, name: str) -> str:
        if name not in self._digests:
            extractor = extractor_of(name, self._settings, self._catalogue)
            self._digests[name] = extractor.digest(self._data)
        return self._digests[name]

    @cached_property
    def _digest(self) -> str:
        return digest(self._data)

    def _extract(self, name: str, samples: Tensor) -> Tensor:
        with torch.no_grad():
            return self._extractor(name)(samples).to("cpu", torch.float64)

    def _classes(self, method: str, name: str, samples: Tensor) -> Tensor:
        """What an extractor that classifies says of the samples."""
        classify = getattr(self._extractor(name), method, None)
        if classify is None:
            raise BadInput(f"the extractor {name!r} gives features, not classes; choose classifier")
        found: Tensor = classify(samples)
        return found

    def _extractor(self, name: str) -> Any:
        if name and name not in self._extractors:
            extractor = extractor_of(name, self._settings, self._catalogue)
            self._extractors[name] = extractor.prepare(self._data, cache_folder() / "extractors")
        return self._extractors.get(name, lambda samples: samples)


def _held_out(data: Data, n: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """n rows of each held-out table, in an order that is always the same; again from its start at its end."""
    tables = held_out_tables(data)
    sizes = {index_of(name): len(table) for name, table in tables.items()}
    rows = {
        index: torch.randperm(size, generator=stream("cpu", 0, "held-out", INDICES.index(index)))[
            torch.arange(n) % size
        ]
        for index, size in sizes.items()
    }
    picked = {name: table[rows[index_of(name)].to(table.device)] for name, table in tables.items()}
    return floating(picked, dtype)
