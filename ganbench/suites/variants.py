"""From cells to variants: sweeps are enumerated, components made, their fit examined, labels given."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ganbench.components.base import options_of
from ganbench.components.instances import Instances
from ganbench.components.kinds import Loss, Model, Technique, players_without_objective, readable
from ganbench.components.optimizers import OPTIMIZERS
from ganbench.errors import nearest
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import (
    ComponentEntry,
    EvaluateConfig,
    OptimizerTable,
    OptionValue,
    VariantConfig,
)
from ganbench.suites import sweeps
from ganbench.suites.checks import Checker
from ganbench.suites.matrix import Cell
from ganbench.suites.optimizer_tables import player_tables, table_of
from ganbench.suites.schema import Evaluate
from ganbench.suites.sweeps import MAX_RUNS, Number, Spot, Sweep, Table
from ganbench.suites.toml_file import Problems

ANY_PLAYER = "*"
"""Stands for the players of a model that is not there to be asked."""

T = TypeVar("T")
Place: TypeAlias = tuple[str, Spot]
"""Owner ("r1", "optimizer.generator") and spot in the owner's table (("gamma",), ("betas", "0"))."""
Values: TypeAlias = dict[Place, Number]


@dataclass(frozen=True)
class Variant:
    """One configuration without a seed.

    Arguments:
        label: unique within the suite, for people.
        config: plain data, every default filled in.
        swept: the explicitly swept values, by path ("r1.gamma", "optimizer.generator.lr").
        unavailable: None, or why it cannot be trained (a component's plugin failed to load).
    """

    label: str
    config: VariantConfig
    swept: dict[str, Number]
    unavailable: str | None = None


def canonical(obj: object) -> str:
    """Canonical JSON: sorted keys, no spaces, floats by repr. ValueError for numbers that are not finite."""
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Lane:
    """One sweep of a cell and all the places that take its value."""

    label: str
    sweep: Sweep
    places: tuple[Place, ...]


class Part(NamedTuple):
    """A component of a variant, None where its plugin is not there, and all its options."""

    component: Any
    entry: ComponentEntry


@dataclass
class Resolver:
    """Turns cells into variants, and records all problems.

    Arguments:
        checked: absent and faulty components; cells with a faulty part are left out.
        overridden: place of an optimiser table -> the players that it has tables for, and those of models.
    """

    catalogue: Catalogue
    instances: Instances
    problems: Problems
    checked: Checker
    overridden: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)

    def variants(self, found: list[Cell], seeds: int) -> list[Variant]:
        """All variants of the cells, or none where there would be more than MAX_RUNS runs."""
        usable = [cell for cell in found if self.checked.usable(cell) and self._players(cell) is not None]
        laid = [(cell, self._lanes(cell)) for cell in usable]
        # counted before anything is enumerated: a logspace of a thousand million costs nothing until then
        count = seeds * sum(math.prod(lane.sweep.size for lane in lanes) for _, lanes in laid)
        if count > MAX_RUNS:
            self.problems.add("", f"the suite makes {count:,} runs; more than {MAX_RUNS:,} are not run")
            return []
        variants = [(cell, variant) for cell, lanes in laid for variant in self._expand(cell, lanes)]
        # A cell that was left out could have the model with the player: then say nothing of players.
        for where, (given, known) in self.overridden.items() if len(laid) == len(found) else ():
            for player in sorted(given - known if ANY_PLAYER not in known else ()):
                self.problems.add(f"{where}.{player}", f"no model has this player; {nearest(player, known)}")
        return self._distinct(variants)

    def _players(self, cell: Cell) -> list[str] | None:
        """The players of the cell's model; None where its code breaks."""
        name = cell.values["model"]
        made = self._make("model", name, sweeps.first(cell.options.get(name, {})), cell)
        # no component: its plugin is not there, and any player may be right
        if made is None or made.component is None:
            return None if made is None else [ANY_PLAYER]
        return self._ask(cell.origins["model"], lambda: list(made.component.players()))  # type: ignore[no-any-return]

    def _lanes(self, cell: Cell) -> list[Lane]:
        """The sweeps that the cell contains. One of all players is one lane, with a place for each."""
        lanes: dict[tuple[str, ...], Lane] = {}  # in the order of the labels: components, then optimisers
        for _, name, _ in cell.parts():
            for axis in sweeps.axes(cell.options.get(name, {})):
                lanes[name, *axis.spot] = Lane(".".join([name, *axis.spot]), axis.sweep, ((name, axis.spot),))
        table, players = cell.values["optimizer"], self._players(cell) or []
        overrides = player_tables(table)
        given, known = self.overridden.setdefault(cell.origins["optimizer"], (set(), set()))
        given.update(overrides)
        known.update(players)
        for player in players:
            for axis in sweeps.axes(table_of(table, player)):
                # what players inherit takes the same value for each of them: one lane, not a product
                alone = axis.spot[0] in overrides.get(player, {})
                label = ".".join([*axis.spot, player] if alone else axis.spot)
                key = ("optimizer", player if alone else "", *axis.spot)
                places = lanes[key].places if key in lanes else ()
                lanes[key] = Lane(label, axis.sweep, (*places, (f"optimizer.{player}", axis.spot)))
        return list(lanes.values())

    def _expand(self, cell: Cell, lanes: list[Lane]) -> Iterator[Variant]:
        missing = [self.checked.missing[part] for part in cell.kinds() if part in self.checked.missing]
        for chosen in itertools.product(*(lane.sweep.values() for lane in lanes)):
            values: Values = {}
            for lane, value in zip(lanes, chosen, strict=True):
                values.update(dict.fromkeys(lane.places, value))
            config = self._config(cell, values)
            if config is None:
                continue
            shown = [f"{lane.label}={value:g}" for lane, value in zip(lanes, chosen, strict=True)]
            shown = [*cell.shown, *shown]
            label = _label(config) + (f" [{', '.join(shown)}]" if shown else "")
            tables = tables_of(config)
            swept = {".".join((owner, *spot)): read_spot(tables[owner], spot) for owner, spot in values}
            yield Variant(label, config, swept, "; ".join(dict.fromkeys(missing)) or None)

    def _config(self, cell: Cell, values: Values) -> VariantConfig | None:
        """The resolved variant, or None where a component cannot be made or does not fit."""
        made: dict[str, list[Part]] = {"technique": []}
        for kind, name, _ in cell.parts():
            part = self._make(kind, name, _filled(cell.options.get(name, {}), name, values), cell)
            if part is None:
                return None
            made.setdefault(kind, []).append(part)
        [dataset], [model], [loss], techniques = (made[k] for k in ("dataset", "model", "loss", "technique"))
        evaluate = self._evaluate(cell)
        self._fit(cell, model.component, loss.component, [t.component for t in techniques if t.component])
        if evaluate is None:
            return None
        if model.component is not None:
            self._see(cell, model.component, [entry["name"] for entry in evaluate["metrics"]])
        config: VariantConfig = {
            "dataset": dataset.entry,
            "model": model.entry,
            "loss": loss.entry,
            "techniques": [technique.entry for technique in techniques],
            "optimizer": self._optimizers(cell, values),
            "steps": cell.values["steps"],
            "batch": cell.values["batch"],
            "precision": cell.values["precision"],
            "evaluate": evaluate,
        }
        if cell.values["tf32"]:  # only then: run keys of variants without it stay what they were
            config["tf32"] = True
        return config

    def _optimizers(self, cell: Cell, values: Values) -> dict[str, OptimizerTable]:
        """Each player's optimiser, every default filled in."""
        resolved = {}
        for player in self._players(cell) or ():
            options = _filled(table_of(cell.values["optimizer"], player), f"optimizer.{player}", values)
            name = options.pop("name")
            made = self.instances.create(OPTIMIZERS[name], options)
            resolved[player] = {"name": name, **options_of(made)}
        return resolved

    def _evaluate(self, cell: Cell) -> EvaluateConfig | None:
        """What is measured, and when; None where a metric is bad."""
        given, steps = cell.values["evaluate"], cell.values["steps"]
        every = given.get("every", steps)
        if every > steps:
            what = f"{every} is more than the {steps} steps of a run"
            self.problems.add(cell.origins["evaluate.every"], what)
        metrics = self._metrics(cell)
        if metrics is None:
            return None
        return {
            "every": every,
            "samples": given.get("samples", Evaluate.model_fields["samples"].default),
            "metrics": metrics,
            "extractors": self._extractors(cell),
            "probes": sorted(given.get("probes", ())),
        }

    def _metrics(self, cell: Cell) -> list[ComponentEntry] | None:
        metrics: list[ComponentEntry] = []
        for index, entry in enumerate(cell.metrics()):
            where = f"{cell.origins['evaluate.metrics']}.{index}"
            name, inline = entry["name"], {key: value for key, value in entry.items() if key != "name"}
            if where in self.checked.faulty:
                return None
            if name in [metric["name"] for metric in metrics]:
                self.problems.add(where, f"repeats the metric {name!r}")
            made = self._make("metric", name, cell.options.get(name, {}) | inline, cell, where)
            if made is None:
                return None
            metrics.append(made.entry)
        return metrics

    def _extractors(self, cell: Cell) -> dict[str, dict[str, OptionValue]]:
        """Options of feature extractors by name, of those for which the suite has any."""
        known = self.catalogue.components["extractor"].keys() - self.checked.faulty
        names = [name for name in cell.options if name in known]
        made = [self._make("extractor", name, cell.options[name], cell) for name in names]
        return {part.entry["name"]: part.entry["options"] for part in made if part}

    def _make(self, kind: str, name: str, options: Table, cell: Cell, where: str = "") -> Part | None:
        """The component and all its options; None where these are bad."""
        if (kind, name) in self.checked.missing:
            return Part(None, {"name": name, "options": dict(options)})
        cls = self.catalogue.components[kind][name].cls
        component, faults = self.instances.attempt(cls, options, where or cell.origin(name))
        self.problems.extend(faults)
        return None if faults else Part(component, {"name": name, "options": options_of(component)})

    def _ask(self, where: str, question: Callable[[], T]) -> T | None:
        """What a plugin's own code answers; None where it breaks."""
        try:
            return question()
        except Exception as error:
            self.problems.add(where, f"its plugin fails when asked: {type(error).__name__}: {error}")
            return None

    def _fit(self, cell: Cell, model: Model | None, loss: Loss | None, techniques: list[Technique]) -> None:
        """Whether the parts fit each other; parts whose plugin is not there fit anything."""
        if model is None or loss is None:
            return
        where, pair = cell.origins["loss"], f"loss {loss.name!r} and model {model.name!r}"
        if loss.family != model.family:
            losses = self.catalogue.components["loss"]
            fitting = [name for name, r in losses.items() if getattr(r.cls, "family", "") == model.family]
            what = f"{pair} do not fit: {loss.family} and {model.family}; exclude them, or"
            self.problems.add(where, f"{what} {nearest(loss.name, fitting)}")
            return
        alone = type(model).terms is not Model.terms  # then a player may do without the loss
        for player in self._without_objective(cell, model, loss) if not alone else ():
            self.problems.add(where, f"{pair} do not fit: the loss has no objective for {player!r}")
        for technique in techniques:
            place = cell.origins["techniques"]
            reason = self._ask(place, partial(technique.fits, model, loss))
            if reason:
                self.problems.add(place, f"technique {technique.name!r} does not fit: {reason}")
            for what in _conflicts(technique, [other.name for other in techniques]):
                self.problems.add(place, what)

    def _without_objective(self, cell: Cell, model: Model, loss: Loss) -> list[str]:
        """Players whose objective is not in the loss; none where the model's code breaks."""
        players = partial(players_without_objective, loss, model)
        return self._ask(cell.origins["model"], players) or []

    def _see(self, cell: Cell, model: Model, metrics: list[str]) -> None:
        """Whether the model shows, or has the players, that its metrics read."""
        shown = self._ask(cell.origins["model"], partial(readable, model)) or set()
        for index, name in enumerate(metrics):
            registered = self.catalogue.of("metric").get(name)
            unseen = set(registered.cls.reads) - shown if registered else set()
            if unseen:
                models = self.catalogue.of("model")
                fitting = [other for other, r in models.items() if unseen <= set(r.cls.shows)]
                read = ", ".join(sorted(unseen))
                what = f"metric {name!r} reads {read}, which model {model.name!r} does not show"
                where = f"{cell.origins['evaluate.metrics']}.{index}"
                self.problems.add(where, f"{what}; {nearest(model.name, fitting)}")

    def _distinct(self, variants: list[tuple[Cell, Variant]]) -> list[Variant]:
        """The variants under distinct labels; the same variant twice is a problem."""
        seen: set[str] = set()
        reported: set[str] = set()
        for cell, variant in variants:
            text = canonical(variant.config)
            if text in seen and cell.where not in reported:
                self.problems.add(cell.where, f"the variant {variant.label!r} occurs twice")
                reported.add(cell.where)
            seen.add(text)
        return _labelled([variant for _, variant in variants])


def _conflicts(technique: Technique, names: list[str]) -> list[str]:
    """A message for each conflict of a technique with the others, and for each missing requirement."""
    clashing = [name for name in technique.conflicts if name in names]
    missing = [name for name in technique.requires if name not in names]
    return [
        *(f"technique {technique.name!r} cannot be used with {name!r}: choose one" for name in clashing),
        *(f"technique {technique.name!r} cannot be used without {name!r}: add it" for name in missing),
    ]


def tables_of(config: VariantConfig) -> dict[str, dict[str, OptionValue]]:
    """Tables of a resolved variant that hold swept values, by the prefix of their paths."""
    parts = [config["dataset"], config["model"], config["loss"], *config["techniques"]]
    tables = {part["name"]: part["options"] for part in parts}
    return tables | {f"optimizer.{player}": table for player, table in config["optimizer"].items()}


def read_spot(table: Table, spot: Spot) -> OptionValue:
    """The value at one spot of a component's table."""
    value = table[spot[0]]
    return value[int(spot[1])] if len(spot) > 1 else value


def _filled(table: Table, owner: str, values: Values) -> dict[str, OptionValue]:
    return sweeps.fill(table, {spot: value for (name, spot), value in values.items() if name == owner})


def _label(config: VariantConfig) -> str:
    techniques = "+".join(part["name"] for part in config["techniques"]) or "plain"
    parts = (config["dataset"], config["model"], config["loss"])
    return "/".join([*(part["name"] for part in parts), techniques])


def _labelled(variants: list[Variant]) -> list[Variant]:
    """The variants; where labels collide, with a hash of the variant in the label."""
    # four hexadecimal digits are enough as a rule; 64 are the whole SHA-256
    length = 4
    counts = Counter(variant.label for variant in variants)
    while True:
        named = [
            replace(v, label=f"{v.label} #{_hash(v)[:length]}") if counts[v.label] > 1 else v
            for v in variants
        ]
        if len({variant.label for variant in named}) == len(named) or length == 64:
            return named
        length += 4


def _hash(variant: Variant) -> str:
    return hashlib.sha256(canonical(variant.config).encode()).hexdigest()
