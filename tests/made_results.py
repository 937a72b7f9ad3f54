"""Synthetic results on disk, written by the store's own writers: no training, any size, any name."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganbench.storage.stack_folder import StackFolder
from ganbench.storage.suite_lock import write_lock

METRICS = {"modes": "higher", "energy-distance": "lower"}
"""Metric -> which direction is better, by default."""
FAILURES = ("collapsed", "diverged", "exploded", "vanished", "saturated", "unstable", "timed_out", "crashed")
PLAYERS = ("discriminator", "generator")
_WITHOUT_RESULT = ("timed_out", "crashed", "incompatible")


@dataclass(frozen=True)
class MadeSuite:
    """A suite whose results are made up. The same settings give the same results.

    Arguments:
        variants: how many, or techniques ("plain", "r1+ema", any text): one variant each, whose label is
            "<dataset>/<model>/hinge/<techniques>". The first is the baseline where none is given.
        seeds: how many, or which.
        steps: the budget of a run.
        outcomes: one a variant (again from the start at the end): outcome -> chance; the rest finishes.
            Default: variant i of v fails with chance .7 i / v, in all ways.
        metrics: name -> direction. Values of later variants are better, by `shifts` (in standard deviations).
        sweep: option path -> values: every variant once for each point of their product.
        evaluations: how many a run, evenly spaced, the last at the end.
        trace_steps: recorded steps a run, evenly spaced (real traces have every step). 0: no traces.
        sheets: a sample sheet (a grey pixel) a run and evaluation, and one of real samples.
        extra: further columns of evaluation rows, such as {"extractor": "classifier", "n": 500}.
        unfinished: how many of the last variants still train: traces and evaluations, but no runs.
        seed: of what is made up.
        reason: why failed runs failed.
    """

    variants: int | Sequence[str] = 4
    seeds: int | Sequence[int] = 10
    steps: int = 1000
    outcomes: Sequence[Mapping[str, float]] | None = None
    suite: str = "made"
    dataset: str = "ring"
    model: str = "mlp-gan"
    metrics: Mapping[str, str] = field(default_factory=lambda: METRICS)
    sweep: Mapping[str, Sequence[float]] = field(default_factory=dict)
    evaluations: int = 4
    trace_steps: int = 50
    baseline: Mapping[str, Any] | None = None
    shifts: Sequence[float] | None = None
    sheets: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    unfinished: int = 0
    seed: int = 0
    reason: str = "made up"

    @property
    def techniques(self) -> Sequence[str]:
        """The techniques of each variant, before sweeps."""
        if isinstance(self.variants, int):
            return [f"technique-{i:03d}" if i else "plain" for i in range(self.variants)]
        return self.variants

    @property
    def seed_list(self) -> list[int]:
        """The seeds of every variant."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def cells(self) -> list[dict[str, Any]]:
        """The variants: label, config, swept values, and the key of each seed's run."""
        points = [dict(zip(self.sweep, p, strict=True)) for p in itertools.product(*self.sweep.values())]
        return [self._cell(techniques, swept) for techniques in self.techniques for swept in points]

    def _cell(self, techniques: str, swept: Mapping[str, float]) -> dict[str, Any]:
        values = ", ".join(f"{path}={value:g}" for path, value in swept.items())
        label = f"{self.dataset}/{self.model}/hinge/{techniques}" + (f" [{values}]" if values else "")
        config = _config(self.dataset, self.model, techniques, swept, self.steps, self.metrics)
        variant = {"label": label, "config": config, "swept": swept}
        keys = [hashlib.sha256(f"{json.dumps(variant)}{s}".encode()).hexdigest() for s in self.seed_list]
        return {**variant, "keys": keys}

    def write(self, folder: Path) -> Path:
        """Write the results into `folder` and return it."""
        cells = self.cells()
        for index, variant in enumerate(cells):
            self._write_stack(folder, variant, index, len(cells))
        write_lock(folder, self._lock(cells))
        return folder

    def _write_stack(self, folder: Path, variant: Mapping[str, Any], index: int, count: int) -> None:
        """The folder of the variant number `index` of `count`."""
        seeds, keys = self.seed_list, variant["keys"]
        chances = self.outcomes[index % len(self.outcomes)] if self.outcomes else _chances(index, count)
        shift = self.shifts[index % len(self.shifts)] if self.shifts else 2.0 * index / count
        generator = np.random.default_rng([self.seed, index])
        ended = _ends(generator, chances, len(seeds), self.steps)
        stack = StackFolder.create(folder, variant["label"], "".join(keys))
        _write_config(stack, self.suite, variant, seeds, keys, self.metrics)
        _write_evals(stack, generator, ended, self.steps, self.evaluations, self.metrics, shift, self.extra)
        if self.trace_steps:
            _write_traces(stack, generator, ended, self.steps, self.trace_steps)
        if self.sheets:
            _write_sheets(stack, ended, self.steps, self.evaluations)
        if index < count - self.unfinished:
            _write_runs(stack, self.suite, variant, seeds, keys, ended, self.steps, self.reason)

    def _lock(self, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        first = {"model": self.model, "loss": "hinge", "techniques": _techniques(self.techniques[0])}
        return {
            "schema": 1,
            "suite": self.suite,
            "description": "Made up.",
            "keys": [key for variant in cells for key in variant["keys"]],
            "labels": [variant["label"] for variant in cells for _ in variant["keys"]],
            "seeds": self.seed_list,
            "compare": {"metric": next(iter(self.metrics), None), "baseline": dict(self.baseline or first)},
            "verdict": {},
            "directions": dict(self.metrics),
            "variants": [{k: v for k, v in variant.items() if k != "keys"} for variant in cells],
            "failed": [],
            "command": f"ganbench run {self.suite}",
        }


def make(
    folder: Path,
    variants: int | Sequence[str] = 4,
    seeds: int | Sequence[int] = 10,
    steps: int = 1000,
    outcomes: Sequence[Mapping[str, float]] | None = None,
    **settings: Any,
) -> Path:
    """Write the results of a `MadeSuite` into `folder` and return it."""
    return MadeSuite(variants, seeds, steps, outcomes, **settings).write(folder)


def _chances(index: int, count: int) -> dict[str, float]:
    return dict.fromkeys(FAILURES, 0.7 * index / count / len(FAILURES))


def _techniques(text: str) -> list[str]:
    return [] if text == "plain" else text.split("+")


def _config(
    dataset: str,
    model: str,
    techniques: str,
    swept: Mapping[str, float],
    steps: int,
    metrics: Mapping[str, str],
) -> dict[str, Any]:
    options: dict[str, dict[str, float]] = {}
    for path, value in swept.items():
        name, _, option = path.partition(".")
        options.setdefault(name, {})[option] = value
    adam = {"name": "adam", "lr": 0.001, "betas": [0.5, 0.999]}
    return {
        "dataset": {"name": dataset, "options": {}},
        "model": {"name": model, "options": {"hidden": [128, 128]}},
        "loss": {"name": "hinge", "options": {}},
        "techniques": [{"name": name, "options": options.get(name, {})} for name in _techniques(techniques)],
        "optimizer": {player: adam | options.get("optimizer", {}) for player in PLAYERS},
        "steps": steps,
        "batch": 64,
        "precision": "float32",
        "evaluate": {
            "every": 100,
            "samples": 2500,
            "metrics": [{"name": name, "options": {}} for name in metrics],
        },
    }


Ends = list[tuple[str, int]]
"""(outcome, last step) a run."""


def _ends(generator: np.random.Generator, chances: Mapping[str, float], count: int, steps: int) -> Ends:
    names = [*chances, "finished"]
    shares = [*chances.values(), max(0.0, 1 - sum(chances.values()))]
    drawn = generator.choice(len(names), size=count, p=np.array(shares) / sum(shares))
    onsets = generator.integers(1, steps + 1, size=count)
    return [
        (names[d], steps if names[d] == "finished" else int(onset))
        for d, onset in zip(drawn, onsets, strict=True)
    ]


def _write_config(
    stack: StackFolder,
    suite: str,
    variant: Mapping[str, Any],
    seeds: Sequence[int],
    keys: Sequence[str],
    metrics: Mapping[str, str],
) -> None:
    count = len(keys)
    engine = {"device": "cpu", "mapper": "vmap", "executor": "compiled", "size": count}
    stack.write_config(
        {
            "schema": 1,
            "suite": suite,
            "label": variant["label"],
            "labels": [variant["label"]] * count,
            "variants": [variant["config"]] * count,
            "seeds": list(seeds),
            "keys": list(keys),
            "swept": [variant["swept"]] * count,
            "values": [{}] * count,
            "verdict": {},
            "directions": dict(metrics),
            "critic": False,
            "modes": 8,
            "engine": engine,
            "versions": {"loss hinge": "ganbench 0.1.0"},
        }
    )
    stack.write_env({"ganbench": "0.1.0", "python": "3.11.7", "cores": 2, "packages": {"torch": "2.15.0"}})
    stack.write_status({"state": "finished"})


def _write_evals(
    stack: StackFolder,
    generator: np.random.Generator,
    ended: Ends,
    steps: int,
    evaluations: int,
    metrics: Mapping[str, str],
    shift: float,
    extra: Mapping[str, Any],
) -> None:
    rows = []
    for run, (_, last) in enumerate(ended):
        quality = generator.normal(shift)
        for k in range(1, evaluations + 1):
            step = steps * k // evaluations
            if step <= last:
                level = quality - 2.0 * (1 - k / evaluations) + generator.normal(scale=0.1)
                for metric, direction in metrics.items():
                    value = 8 / (1 + np.exp(-level)) if direction == "higher" else np.exp(-level)
                    row = {"run": run, "step": step, "metric": metric, "value": float(value)}
                    rows.append({**row, "n": 2500, "extractor": "", "weights": "raw", **extra})
    stack.write_evals(rows)


def _write_traces(
    stack: StackFolder, generator: np.random.Generator, ended: Ends, steps: int, recorded: int
) -> None:
    grid = np.unique(np.linspace(1, steps, min(recorded, steps)).astype(np.int64))
    last = np.array([end for _, end in ended])
    step, run = (axis.ravel() for axis in np.meshgrid(grid, np.arange(len(ended)), indexing="ij"))
    alive = step <= last[run]
    step, run = np.repeat(step[alive], 2), np.repeat(run[alive], 2)
    count = len(step)
    player = np.tile(np.array(PLAYERS, dtype=object), count // 2)
    judges = player == "discriminator"
    noise = generator.normal(size=(4, count)).astype(np.float32)
    columns = {"run": run.astype(np.int32), "step": step, "player": player}
    columns["loss"] = 1 + 0.1 * noise[0]
    for name, values in zip(("grad_norm", "update_norm", "weight_norm"), noise[1:], strict=True):
        columns[name] = np.exp(values)
    for name in ("real_mean", "fake_mean", "real_accuracy", "fake_accuracy", "logit_gap"):
        columns[name] = np.where(judges, np.abs(noise[0]), np.nan).astype(np.float32)
    stack.write_traces(1, steps, columns)


def _write_sheets(stack: StackFolder, ended: Ends, steps: int, evaluations: int) -> None:
    stack.write_real_sheet(grey_pixel())
    for run, (_, last) in enumerate(ended):
        for k in range(1, evaluations + 1):
            if steps * k // evaluations <= last:
                stack.write_sheet(run, steps * k // evaluations, grey_pixel())


def grey_pixel() -> bytes:
    """The smallest sample sheet."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (1, 1), 128).save(stream, format="PNG")
    return stream.getvalue()


def _write_runs(
    stack: StackFolder,
    suite: str,
    variant: Mapping[str, Any],
    seeds: Sequence[int],
    keys: Sequence[str],
    ended: Ends,
    steps: int,
    reason: str,
) -> None:
    config = variant["config"]
    shared = {
        "suite": suite,
        "variant": variant["label"],
        **{name: config[name]["name"] for name in ("model", "loss", "dataset")},
        "techniques": "+".join(entry["name"] for entry in config["techniques"]) or "plain",
        "budget": steps,
        **{"device": "cpu", "executor": "compiled", "mapper": "vmap", "stack_size": len(keys)},
        **{"stack": stack.path.name, "versions": '{"loss hinge": "ganbench 0.1.0"}'},
        **variant["swept"],
    }
    stack.write_runs(
        [
            shared | _ending(*end, reason) | {"key": k, "seed": s}
            for k, s, end in zip(keys, seeds, ended, strict=True)
        ]
    )


def _ending(outcome: str, last: int, reason: str) -> dict[str, Any]:
    row: dict[str, Any] = {"outcome": outcome, "reason": "", "remark": "", "steps": last}
    row |= {"seconds": 0.5, "evaluation_seconds": 0.1}
    if outcome == "finished":
        return row | {"onset_step": None, "evidence_first": None, "evidence_last": None}
    if outcome in _WITHOUT_RESULT:
        return row | {
            "reason": reason,
            "onset_step": None,
            "evidence_first": None,
            "evidence_last": None,
            "seconds": 0.0,
        }
    return row | {"reason": reason, "onset_step": last, "evidence_first": last, "evidence_last": last}
