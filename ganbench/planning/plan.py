"""From a suite to stacks: run keys, what is already there, what is left to train, and what it will cost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.engine.data import Sources
from ganbench.engine.program import Program
from ganbench.errors import BadInput, Problem
from ganbench.planning import cost
from ganbench.planning.choice import Choice, Settings, choose
from ganbench.planning.run_key import SCHEMA, Identities, parts, run_key
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock
from ganbench.suites.checks import idle_plugins
from ganbench.suites.load import Suite, Variant, canonical, structure

_UNFINISHED = ("crashed", "timed_out")


@dataclass(frozen=True)
class Run:
    """A variant with a seed."""

    key: str
    variant: Variant
    seed: int
    values: dict[str, float]
    identity: dict[str, Any]


@dataclass(frozen=True)
class Stack:
    """Runs to be trained at once: the content of a config.json, and what it is predicted to cost."""

    config: dict[str, Any]
    seconds: float
    memory: int

    @property
    def entry(self) -> dict[str, Any]:
        """What the lock tells of it."""
        return {
            **{name: self.config["engine"][name] for name in ("device", "mapper", "executor")},
            "keys": self.config["keys"],
            "varying": list(self.config["values"][0]),
            "seconds": self.seconds,
        }


@dataclass
class Plan:
    """What a suite comes to."""

    suite: Suite
    settings: Settings
    runs: list[Run] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    cached: int = 0
    resumed: list[StackFolder] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    directions: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Predicted time of what is left to start, with all workers busy."""
        longest = max((stack.seconds for stack in self.stacks), default=0.0)
        return max(longest, sum(stack.seconds for stack in self.stacks) / self.settings.workers)

    def lock(self, earlier: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """The resolved suite, as it is written beside the results.

        Arguments:
            earlier: stacks of the lock that was there before; those of runs that are not planned anew stay.
        """
        keys = [run.key for run in self.runs]
        planned = {key for stack in self.stacks for key in stack.config["keys"]}
        kept = [e for e in earlier if planned.isdisjoint(e["keys"]) and not set(keys).isdisjoint(e["keys"])]
        return {
            "schema": SCHEMA,
            "suite": self.suite.name,
            "description": self.suite.description,
            "source": str(self.suite.path.resolve()),
            "keys": keys + [row["key"] for row in self.failed],
            "labels": [run.variant.label for run in self.runs] + [row["label"] for row in self.failed],
            "seeds": list(self.suite.seeds),
            "compare": self.suite.compare,
            "verdict": self.suite.verdict,
            "directions": self.directions,
            "variants": [
                {"label": v.label, "config": v.config, "swept": v.swept} for v in self.suite.variants
            ],
            "failed": self.failed,
            "stacks": [*kept, *(stack.entry for stack in self.stacks)],
        }


def make_plan(suite: Suite, catalogue: Catalogue, root: Path, settings: Settings) -> Plan:
    """Plan the suite against what lies in `root`. Trains nothing.

    Raises BadInput where data cannot be had or a metric cannot be taken.
    """
    return _Planner(suite, catalogue, root, settings).plan()


class _Planner:
    def __init__(self, suite: Suite, catalogue: Catalogue, root: Path, settings: Settings) -> None:
        self._suite, self._catalogue, self._root, self._settings = suite, catalogue, root, settings
        self._sources = Sources(catalogue)
        self._problems: list[Problem] = []
        self._identities = Identities(catalogue, self._sources)

    def plan(self) -> Plan:
        plan = Plan(self._suite, self._settings, directions=self._directions())
        groups: dict[str, list[Run]] = {}
        for variant in self._suite.variants:
            shared, values = ({}, {}) if variant.unavailable else structure(variant.config, self._catalogue)
            reason = variant.unavailable or self._misfit(variant)
            identity = {} if reason or self._problems else self._identities.of(variant.config)
            for seed in self._suite.seeds:
                key = run_key(variant.config, seed, identity)
                if reason:
                    row = {"key": key, "label": variant.label, "seed": seed, "outcome": "incompatible"}
                    plan.failed.append({**row, "reason": reason})
                else:
                    plan.runs.append(Run(key, variant, seed, values, identity))
                    groups.setdefault(canonical(shared), []).append(plan.runs[-1])
        if self._problems:
            raise BadInput(self._problems)
        covered = self._covered(plan)
        pieces = -(-self._settings.workers // max(1, len(groups)))
        for runs in groups.values():
            planned = self._planned_before(runs, covered)
            covered |= {key for stack in planned for key in stack.config["keys"]}
            missing = [run for run in runs if run.key not in covered]
            plan.stacks += [*planned, *self._stacks(runs, missing, pieces)]
        return plan

    def _planned_before(self, group: Sequence[Run], covered: set[str]) -> list[Stack]:
        """Stacks that an earlier call planned, and was killed before it made their folders."""
        by_key = {run.key: run for run in group if run.key not in covered}
        stacks = []
        for entry in (read_lock(self._root) or {}).get("stacks", ()):
            keys = entry["keys"]
            if keys and set(keys) <= by_key.keys() and self._settings.allow(entry):
                choice = Choice(entry["mapper"], entry["executor"], (len(keys),), entry["seconds"], 0)
                runs = [by_key.pop(key) for key in keys]
                stacks.append(self._stack(runs, entry["varying"], choice))
        return stacks

    def _covered(self, plan: Plan) -> set[str]:
        """Keys that need no new stack: done, or in a stack that can be resumed."""
        wanted = {run.key for run in plan.runs}
        folders = stack_folders(self._root)
        done = {key for folder in folders for key in finished_keys(folder)} & wanted
        plan.cached, covered = len(done), set(done)
        for folder in folders:
            keys = set(folder.config().get("keys", ()))
            if keys and keys <= wanted - covered and self._resumable(folder):
                plan.resumed.append(folder)
                covered |= keys
        return covered

    def _resumable(self, folder: StackFolder) -> bool:
        config = folder.config()
        unfinished = folder.status().get("state") in (None, "training")
        return unfinished and config.get("schema") == SCHEMA and self._settings.allow(config["engine"])

    def _stacks(self, group: Sequence[Run], missing: Sequence[Run], pieces: int) -> list[Stack]:
        if not missing:
            return []
        varying = [path for path in group[0].values if len({run.values[path] for run in group}) > 1]
        steps = group[0].variant.config["steps"]
        measured = self._cost(group[0].variant.config)
        choice = choose(measured, len(missing), steps, pieces, self._settings, self._catalogue)
        cuts = np.cumsum([0, *choice.sizes])
        parts = [missing[first:last] for first, last in itertools.pairwise(cuts)]
        return [self._stack(part, varying, choice) for part in parts]

    def _stack(self, runs: Sequence[Run], varying: Sequence[str], choice: Choice) -> Stack:
        config = {
            "schema": SCHEMA,
            "suite": self._suite.name,
            "label": runs[0].variant.label,
            "labels": [run.variant.label for run in runs],
            "variants": [run.variant.config for run in runs],
            "seeds": [run.seed for run in runs],
            "keys": [run.key for run in runs],
            "identity": runs[0].identity,  # of all: variants of one structure have the same parts
            "swept": [run.variant.swept for run in runs],
            "values": [{path: run.values[path] for path in varying} for run in runs],
            "verdict": self._suite.verdict,
            "directions": self._directions(),
            "critic": not self._catalogue.get(
                "loss", runs[0].variant.config["loss"]["name"]
            ).cls.has_boundary,  # type: ignore[attr-defined]
            "modes": self._modes(runs[0].variant.config),
            "engine": choice.record(self._settings, len(runs)),
            "versions": self._versions(runs[0].variant.config),
        }
        share = len(runs) / sum(choice.sizes)
        return Stack(config, choice.seconds * share, choice.memory)

    def _modes(self, config: Mapping[str, Any]) -> int | None:
        """How many modes the data have, where that is known."""
        modes = self._sources.load(config["dataset"]).modes
        return None if modes is None else len(modes)

    def _cost(self, config: Mapping[str, Any]) -> cost.Cost | None:
        """None where a component breaks: the run itself will tell."""
        data = self._sources.load(config["dataset"])
        try:
            return cost.measure(Program(config, self._catalogue, data), {}, data)
        except (Exception, SystemExit):
            return None

    def _misfit(self, variant: Variant) -> str | None:
        """Why the variant's parts do not fit together, or None. A metric that does not fit is bad input."""
        config = variant.config
        data = self._sources.load(config["dataset"])
        self._check_metrics(variant, data)
        try:
            Program(config, self._catalogue, data).draws()
        except BadInput as error:
            return str(error)
        except (Exception, SystemExit):
            return None  # a crash is an outcome of the run
        return None

    def _check_metrics(self, variant: Variant, data: Data) -> None:
        samples: int = variant.config["evaluate"]["samples"]
        for entry in variant.config["evaluate"]["metrics"]:
            cls: Any = self._catalogue.get("metric", entry["name"]).cls
            metric = create(cls, entry["options"], entry["name"])
            reason = metric.fits(data)
            if samples < metric.least:
                reason = f"{metric.name} takes {metric.least} samples at least; evaluate.samples is {samples}"
            if reason:
                self._problems.append(Problem(f"variant {variant.label}", reason))

    def _versions(self, config: Mapping[str, Any]) -> dict[str, str]:
        return {
            f"{kind} {entry['name']}": f"{registered.distribution} {registered.version}"
            for kind, entry in parts(config)
            for registered in [self._catalogue.get(kind, entry["name"])]
        }

    def _directions(self) -> dict[str, str]:
        """Metric value -> which direction is better."""
        names = {e["name"] for v in self._suite.variants for e in v.config["evaluate"]["metrics"]}
        known = self._catalogue.components["metric"]
        tables = [known[name].cls.values for name in sorted(names & known.keys())]  # type: ignore[attr-defined]
        return {value: direction for table in tables for value, direction in table.items()}


def cautions(plan: Plan, catalogue: Catalogue, files: Iterable[str]) -> list[str]:
    """What the user should know before anything is trained.

    Runs that cannot be trained, and single-file plugins (`files`) that failed or give nothing.
    """
    reasons, runs = Counter(row["reason"] for row in plan.failed), len(plan.runs) + len(plan.failed)
    told = [f"{count} of {runs} runs are incompatible: {reason}" for reason, count in reasons.items()]
    given = {str(Path(file)) for file in files}
    failed = [
        f"plugin {failure.plugin!r} of {failure.distribution} failed: {failure.told}"
        for failure in catalogue.failures
        if failure.distribution in given
    ]
    told += [text for text in failed if not any(text in reason for reason in reasons)]
    return told + idle_plugins(catalogue)


def finished_keys(folder: StackFolder) -> Iterable[str]:
    """Keys of the runs of a stack that need not be trained again."""
    runs = folder.runs()
    return list(runs.loc[~runs["outcome"].isin(_UNFINISHED), "key"])
