"""From a suite to stacks: run keys, what is already there, what is left to train, and what it will cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganbench.components.data import Data
from ganbench.engine.data import Sources
from ganbench.engine.program import Program
from ganbench.errors import BadInput, Problem
from ganbench.judging.outcomes import Outcome
from ganbench.planning import cost
from ganbench.planning.cards import Shares, Work, assigned, cards_so_far
from ganbench.planning.choice import Choice, Settings, choose
from ganbench.planning.crash_reason import crash_reason
from ganbench.planning.run_key import Identities, parts, run_key
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import (
    FailedRun,
    Identity,
    LockedVariant,
    Owner,
    PlannedStack,
    StackConfig,
    SuiteLock,
    VariantConfig,
)
from ganbench.storage.schema import SCHEMA
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import lock_in
from ganbench.suites.load import Suite, Variant, canonical, structure


@dataclass(frozen=True)
class Run:
    """A variant with a seed."""

    key: str
    variant: Variant
    seed: int
    values: dict[str, float]
    identity: Identity


@dataclass(frozen=True)
class Stack:
    """Runs to be trained at once: the content of a config.json, and what it is predicted to cost.

    `measured`: False where a component breaks, so that nothing can be predicted.
    """

    config: StackConfig
    seconds: float
    memory: int
    measured: bool = True

    @property
    def entry(self) -> PlannedStack:
        """Its entry in the lock."""
        engine = self.config["engine"]
        entry: PlannedStack = {
            "device": engine["device"],
            "mapper": engine["mapper"],
            "executor": engine["executor"],
            "keys": self.config["keys"],
            "varying": list(self.config["values"][0]),
            "seconds": self.seconds,
        }
        if "card" in engine:
            entry["card"] = engine["card"]
        if "why" in engine:
            entry["why"] = engine["why"]
        return entry


@dataclass
class Plan:
    """What a suite has to train.

    Arguments:
        failed: runs that cannot be trained.
        cached: runs that were trained before.
        resumed: stacks that an earlier call began.
        stacks: stacks to begin.
        unmeasured: why variants that are left to train cannot be tried, by label: such runs will crash.
        directions: metric value -> which direction is better.
    """

    suite: Suite
    settings: Settings
    runs: list[Run] = field(default_factory=list)
    failed: list[FailedRun] = field(default_factory=list)
    cached: int = 0
    resumed: list[StackFolder] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    unmeasured: dict[str, str] = field(default_factory=dict)
    directions: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Predicted time of what is left to start, with all workers busy."""
        # one worker trains a stack, so the longest is a lower bound whatever the workers
        longest = max((stack.seconds for stack in self.stacks), default=0.0)
        return max(longest, sum(stack.seconds for stack in self.stacks) / self.settings.workers)

    def lock(self, earlier: Iterable[PlannedStack] = ()) -> SuiteLock:
        """The resolved suite, as it is written to the folder of results.

        Arguments:
            earlier: stacks of the lock that was there before; those of runs that are not planned anew stay.
        """
        keys = [run.key for run in self.runs]
        planned = {key for stack in self.stacks for key in stack.config["keys"]}
        unchanged = [
            e for e in earlier if planned.isdisjoint(e["keys"]) and not set(keys).isdisjoint(e["keys"])
        ]
        variants = [LockedVariant(label=v.label, config=v.config, swept=v.swept) for v in self.suite.variants]
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
            "variants": variants,
            "failed": self.failed,
            "stacks": [*unchanged, *(stack.entry for stack in self.stacks)],
        }


def make_plan(suite: Suite, catalogue: Catalogue, root: Path, settings: Settings) -> Plan:
    """Plan the suite against what lies in `root`. Trains nothing.

    Raises BadInput where data are not available or a metric cannot be taken.
    """
    return _Planner(suite, catalogue, root, settings).plan()


@dataclass
class _Group:
    """Variants of one structure: their runs can share stacks. What is measured of one holds for all.

    Arguments:
        judges: players that tell real from generated samples.
        cost: of one step; None where a component breaks, and while nothing is left to train.
    """

    judges: list[str]
    runs: list[Run] = field(default_factory=list)
    cost: cost.Cost | None = None
    measured: bool = False


class _Tried(NamedTuple):
    """A variant's program, None where its parts break or do not fit, and in the second case why."""

    program: Program | None
    misfit: str | None


class _Planner:
    def __init__(self, suite: Suite, catalogue: Catalogue, root: Path, settings: Settings) -> None:
        self._suite, self._catalogue, self._root, self._settings = suite, catalogue, root, settings
        self._create = suite.instances.create  # what loading the suite has made is not made again
        self._sources = Sources(catalogue, self._create)
        self._problems: list[Problem] = []
        self._identities = Identities(catalogue, self._sources, self._create)
        self._groups: dict[str, _Group] = {}
        self._broken: dict[str, str] = {}
        self._folders = stack_folders(root)
        self._finished = {key for folder in self._folders for key in finished_keys(folder)}

    def plan(self) -> Plan:
        plan = Plan(self._suite, self._settings, directions=self._directions())
        for variant in self._suite.variants:
            reason = variant.unavailable or self._group(variant, plan)
            if reason:
                plan.failed += [self._failed(variant, seed, reason) for seed in self._suite.seeds]
        if self._problems:
            raise BadInput(self._problems)
        covered = self._covered(plan)
        shares = self._shares(covered)
        for shared, group in self._groups.items():
            # what was planned before comes first: a killed suite must go on with the stacks that its lock has
            planned = self._planned_before(group, covered)
            covered |= {key for stack in planned for key in stack.config["keys"]}
            missing = [run for run in group.runs if run.key not in covered]
            stacks = self._stacks(group, missing, shares.card(shared), shares.pieces(shared))
            plan.stacks += [*planned, *stacks]
        left = {label for stack in plan.stacks for label in stack.config["labels"]}
        plan.unmeasured = {label: reason for label, reason in self._broken.items() if label in left}
        return plan

    def _shares(self, covered: Set[str]) -> Shares:
        """How the structures of which runs are left share the workers."""
        gpus, works = self._settings.gpus, {}
        before = cards_so_far(lock_in(self._root).get("stacks", ()), self._folders if gpus else ())
        for shared, group in self._groups.items():
            missing = [run for run in group.runs if run.key not in covered]
            step = group.cost.looped(1) if group.cost else 0.0
            cards = [before[run.key] for run in group.runs if run.key in before]
            if missing:
                seconds = sum(step * run.variant.config["steps"] for run in missing)
                works[shared] = Work(seconds, card=cards[0] if cards else "")
        return Shares(assigned(works, gpus), gpus, self._settings.workers, len(self._groups))

    def _group(self, variant: Variant, plan: Plan) -> str | None:
        """Put the variant's runs into their group and the plan; else return why they cannot be trained."""
        tried = self._try(variant)
        if tried.misfit or self._problems:  # identities need metrics that fit
            return tried.misfit
        shared, values = structure(variant.config, self._catalogue)
        identity = self._identities.of(variant.config)
        group = self._groups.get(canonical(shared))
        if group is None:
            judges = list(tried.program.model.judges()) if tried.program else []
            group = self._groups[canonical(shared)] = _Group(judges)
        keys = {seed: run_key(variant.config, seed, identity) for seed in self._suite.seeds}
        runs = [Run(key, variant, seed, values, identity) for seed, key in keys.items()]
        plan.runs += runs
        group.runs += runs
        if not group.measured and not self._finished.issuperset(keys.values()):
            # now, so that no program is kept: the networks of all variants may not fit in memory
            group.cost, group.measured = self._cost(variant, tried.program), True
        return None

    def _failed(self, variant: Variant, seed: int, reason: str) -> FailedRun:
        return {
            # without an identity: what does not fit together has no digests
            "key": run_key(variant.config, seed, {}),
            "label": variant.label,
            "seed": seed,
            "outcome": Outcome.INCOMPATIBLE,
            "reason": reason,
        }

    def _planned_before(self, group: _Group, covered: set[str]) -> list[Stack]:
        """Stacks that an earlier call planned, and was killed before it made their folders."""
        by_key = {run.key: run for run in group.runs if run.key not in covered}
        stacks = []
        for entry in lock_in(self._root).get("stacks", ()):
            keys = entry["keys"]
            if keys and set(keys) <= by_key.keys() and self._settings.allow(entry):
                choice = Choice(
                    entry["mapper"],
                    entry["executor"],
                    (len(keys),),
                    entry["seconds"],
                    memory=0,
                    card=entry.get("card", ""),
                    why=entry.get("why", ""),
                )
                runs = [by_key.pop(key) for key in keys]
                stacks.append(self._stack(group, runs, entry["varying"], choice))
        return stacks

    def _covered(self, plan: Plan) -> set[str]:
        """Keys that need no new stack: done, or in a stack that can be resumed."""
        wanted = {run.key for run in plan.runs}
        covered = self._finished & wanted
        plan.cached = len(covered)
        for folder in self._folders:
            keys = set(folder.config().get("keys", ()))
            if keys and keys <= wanted - covered and self._resumable(folder):
                plan.resumed.append(folder)
                covered |= keys
        return covered

    def _resumable(self, folder: StackFolder) -> bool:
        config = folder.config()
        # None: the process was killed before it wrote a status
        unfinished = folder.status().get("state") in (None, "training")
        return unfinished and config.get("schema") == SCHEMA and self._settings.allow(config["engine"])

    def _stacks(self, group: _Group, missing: Sequence[Run], card: str, pieces: int) -> list[Stack]:
        if not missing:
            return []
        runs = group.runs
        # of the whole group, not of what is missing: a value that varies is an input of the compiled step
        varying = [path for path in runs[0].values if len({run.values[path] for run in runs}) > 1]
        steps = runs[0].variant.config["steps"]
        choice = choose(group.cost, len(missing), steps, pieces, self._settings, self._catalogue)
        choice = replace(choice, card=card)
        cuts = np.cumsum([0, *choice.sizes])
        parts = [missing[first:last] for first, last in itertools.pairwise(cuts)]
        return [self._stack(group, part, varying, choice) for part in parts]

    def _stack(self, group: _Group, runs: Sequence[Run], varying: Sequence[str], choice: Choice) -> Stack:
        loss = runs[0].variant.config["loss"]["name"]
        config: StackConfig = {
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
            "critic": not self._catalogue.get("loss", loss).cls.has_boundary,
            "judges": group.judges,
            "modes": self._modes(runs[0].variant.config),
            "engine": choice.record(self._settings, len(runs)),
            "versions": self._versions(runs[0].variant.config),
        }
        share = len(runs) / sum(choice.sizes)
        return Stack(config, choice.seconds * share, choice.memory, measured=group.cost is not None)

    def _modes(self, config: VariantConfig) -> int | None:
        """How many modes the data have, where that is known."""
        modes = self._sources.load(config["dataset"]).modes
        return None if modes is None else len(modes)

    def _cost(self, variant: Variant, program: Program | None) -> cost.Cost | None:
        """What a step of the variant costs; None where a component breaks."""
        data = self._sources.load(variant.config["dataset"])
        try:
            return cost.measure(program, {}, data, self._settings.gpu_memory) if program else None
        except (Exception, SystemExit) as error:
            self._breaks(variant, error)
            return None

    def _try(self, variant: Variant) -> _Tried:
        """The variant's program. A metric that does not fit is bad input."""
        data = self._sources.load(variant.config["dataset"])
        self._check_metrics(variant, data)
        try:
            program = Program(variant.config, self._catalogue, data, self._create)
            program.draws()
        except BadInput as error:
            return _Tried(None, str(error))
        except (Exception, SystemExit) as error:
            self._breaks(variant, error)
            return _Tried(None, None)
        return _Tried(program, None)

    def _breaks(self, variant: Variant, error: BaseException) -> None:
        """Note it and go on: a crash is an outcome of the run."""
        self._broken[variant.label] = crash_reason(error, variant.config, self._catalogue)

    def _check_metrics(self, variant: Variant, data: Data) -> None:
        samples: int = variant.config["evaluate"]["samples"]
        for entry in variant.config["evaluate"]["metrics"]:
            cls = self._catalogue.get("metric", entry["name"]).cls
            metric = self._create(cls, entry["options"], entry["name"])
            reason = metric.fits(data)
            if samples < metric.least:
                reason = f"{metric.name} takes {metric.least} samples at least; evaluate.samples is {samples}"
            if reason:
                self._problems.append(Problem(f"variant {variant.label}", reason))

    def _versions(self, config: VariantConfig) -> dict[str, Owner]:
        return {
            f"{kind} {entry['name']}": Owner(
                distribution=registered.distribution,
                version=registered.version,
                packaged=registered.packaged,
            )
            for kind, entry in parts(config)
            for registered in [self._catalogue.get(kind, entry["name"])]
        }

    def _directions(self) -> dict[str, str]:
        """Metric value -> which direction is better."""
        names = {e["name"] for v in self._suite.variants for e in v.config["evaluate"]["metrics"]}
        installed = self._catalogue.of("metric")
        tables = [installed[name].cls.values for name in sorted(names & installed.keys())]
        return {value: direction for table in tables for value, direction in table.items()}


def finished_keys(folder: StackFolder) -> Iterable[str]:
    """Keys of the runs of a stack that need not be trained again."""
    runs = folder.runs()
    retrained = [outcome for outcome in Outcome if outcome.retrainable]
    return list(runs.loc[~runs["outcome"].isin(retrained), "key"])
