"""From a resolved variant to a program: the networks, the step of one run, and what it draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ganbench.components import optimizers
from ganbench.components.base import Component, bind, create
from ganbench.components.data import Data, DataSpec
from ganbench.components.instances import Create
from ganbench.components.kinds import Loss, Model, Technique, objective_of
from ganbench.engine import boundary
from ganbench.errors import Broken
from ganbench.game import Batch, Game, GradientField, Objective, Out, Play, probes
from ganbench.game.draws import Draw, isolated_rng
from ganbench.game.fields import BoundField, functional_field
from ganbench.game.nets import Layout, Nets, named_buffers, purified
from ganbench.game.probes import Value
from ganbench.game.step import MASKED, Guard, State, Step, train_step
from ganbench.game.update_rules import Number, Rule, per_player
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import OptimizerTable

Bound = TypeVar("Bound", bound=Component)
Values = Mapping[str, Number]
"""Swept values by path, e.g. {"r1.gamma": 0.1, "optimizer.generator.lr": 1e-4}: floats or 0-d tensors."""


class Program:
    """One structure of variant, ready to train: everything but the seed and the swept values.

    Arguments:
        config: a resolved variant (see `ganbench.suites.load`).
        catalogue: where its components are.
        data: the variant's data set, on the device.
        create: how components are made.
    """

    def __init__(
        self, config: Mapping[str, Any], catalogue: Catalogue, data: Data, create: Create = create
    ) -> None:
        def made(kind: str, entry: Mapping[str, Any]) -> Any:
            return create(catalogue.get(kind, entry["name"]).cls, entry["options"], entry["name"])

        self.loss: Loss = made("loss", config["loss"])
        self.model: Model = bind(made("model", config["model"]), {"pairs": self.loss.pairs})
        self.judges = _judges(self.model)
        techniques: list[Technique] = [
            bind(made("technique", entry).within(config["steps"]), {"judges": self.judges})
            for entry in config["techniques"]
        ]
        # A stable sort: techniques of equal order stay as the suite lists them.
        self.techniques = sorted(techniques, key=lambda technique: technique.order)
        self.optimizers = {player: optimizer(table, create) for player, table in config["optimizer"].items()}
        self.batch_size: int = config["batch"]
        self.dtype: torch.dtype = getattr(torch, config["precision"])
        self.spec = data.spec
        self.turns = self.model.turns()
        # two sets: a module's mode is its own state, and an evaluation must not change what a step works on
        self.modules = self._template(training=True)
        self.sampling_modules = self._template(training=False)
        self.layout = Layout(self.model.players(), self.modules)
        asked = frozenset(config.get("evaluate", {}).get("probes", ()))
        self.extras = probes.Extras(self.layout, asked)
        self.columns = probes.columns(self.model.players(), self.judges, self.extras)

    def twin(self) -> Program:
        """The same program with modules of its own, for another thread."""
        made = copy.copy(self)
        made.modules, made.sampling_modules = copy.deepcopy((self.modules, self.sampling_modules))
        return made

    # -- one run's beginning

    def networks(self) -> dict[str, nn.Module]:
        """Freshly initialised networks, wrapped by the techniques."""

        def build(spec: DataSpec) -> dict[str, nn.Module]:
            nets = boundary.built("model", self.model.name, self.model.networks(spec))
            # torch's batch norm writes into its buffers, which vmap refuses.
            return {name: purified(net) for name, net in nets.items()}

        for technique in self.techniques:
            build = partial(boundary.wrapped_networks, technique, build)
        # Initialised in float32, then cast: both precisions start from the same numbers.
        return {name: net.to(self.dtype) for name, net in build(self.spec).items()}

    def initial(self, seed: int, values: Values) -> State:
        """The state before the first step, on the CPU."""
        with isolated_rng(seed, "init"):
            nets = self.networks()
        joint = self.layout.pack(nets)
        buffers = {
            net: {k: v.clone() for k, v in named.items()} for net, named in named_buffers(nets).items()
        }
        memory = self.rule(values).init(joint) | self.extras.memory(joint)
        # float64, like the step number that a captured step writes into it.
        return State(joint, memory, buffers, torch.zeros((), dtype=torch.float64))

    # -- one run's step

    def step(self, values: Values) -> Step[Tensor]:
        """The step of one run as a pure function: to be mapped over a stack."""
        game, rule, wrap = self.bound(values)
        field = wrap(functional_field(game, self.modules))
        return train_step(self.turns, field, rule, MASKED, self.extras)

    def step_alone(self, values: Values, guard: Guard[Value], device: torch.device | str) -> Step[Value]:
        """The same step, for one run executed eagerly; the guard may look at numbers."""
        game, rule, wrap = self.bound(values)
        # A bound field is two to three times as fast in the loop, but the gradient that it gives cannot be
        # differentiated again.
        pure = any(technique.differentiates for technique in self.techniques)
        modules = {name: copy.deepcopy(net).to(device) for name, net in self.modules.items()}
        field = wrap((functional_field if pure else BoundField)(game, modules))
        return train_step(self.turns, field, rule, guard, self.extras)

    def plain_field(self, values: Values) -> GradientField:
        """The gradient field of the objectives, without what techniques make of it; pure."""
        game, *_ = self.bound(values)
        return functional_field(game, self.modules)

    def rule(self, values: Values) -> Rule:
        """The optimisers, wrapped by the techniques."""
        rule = per_player({p: _bind(o, f"optimizer.{p}.", values) for p, o in self.optimizers.items()})
        for technique in self.techniques:
            rule = boundary.wrapped_rule(_bind(technique, f"{technique.name}.", values), rule)
        return rule

    def bound(self, values: Values) -> tuple[Game, Rule, Callable[[GradientField], GradientField]]:
        """Game, rule, and how techniques wrap a field, with swept values in their places."""
        loss = _bind(self.loss, f"{self.loss.name}.", values)
        techniques = [_bind(technique, f"{technique.name}.", values) for technique in self.techniques]
        objectives = {player: objective_of(loss, self.model, player) for player in self.layout.slots}

        def valued(player: str, nets: Nets, batch: Batch, out: Out) -> Tensor:
            lossed, terms = objectives[player], self.model.terms(player, out)
            given = [] if lossed is None else [boundary.scalar("loss", loss.name, player, lossed(out))]
            if terms is not None:
                given.append(boundary.scalar("model", self.model.name, player, terms))
            if not given:
                raise Broken("loss", loss.name, f"has no objective for the {player}, nor has the model")
            # A sum with zero would add an operation to every step.
            return given[0] if len(given) == 1 else given[0] + given[1]

        def played(player: str, nets: Nets, batch: Batch) -> Out:
            return boundary.out_of("model", self.model.name, player, self.model.play(player, nets, batch))

        # In the techniques' order: the last wraps all others, so the networks and batches that it changes are
        # what they see, and it changes what they return. Each layer's result is checked before the next one
        # gets it: the error then names who returned it. The field is wrapped by the caller, who chooses it.
        def wrap(field: GradientField) -> GradientField:
            for technique in techniques:
                field = boundary.wrapped_field(technique, field)
            return field

        play: Play = played
        objective: Objective = valued
        for technique in techniques:
            play = boundary.wrapped_play(technique, play)
            objective = boundary.wrapped_objective(technique, objective)
        observe = partial(probes.observe, self.judges)
        game = Game(self.layout, self.turns, play, objective, observe, self.model.conditioned)
        return game, self.rule(values), wrap

    # -- what it reads

    def draws(self) -> dict[str, Draw]:
        """Every random tensor of one turn, by role."""
        declared = dict(self.model.draws(self.spec, self.batch_size))
        for technique in self.techniques:
            extra = technique.draws(self.spec, self.batch_size)
            clash = sorted(extra.keys() & declared.keys())
            if clash:
                raise ValueError(f"technique {technique.name!r} declares a draw that is taken: {clash[0]!r}")
            declared |= extra
        return declared

    def _template(self, training: bool) -> dict[str, nn.Module]:
        """Modules that lend their structure; their own parameters are never used."""
        # the seed is arbitrary: parameters come from each run's state, through `functional_call` or views
        with isolated_rng(0, "template"):
            nets = self.networks()
        return {name: net.train(training).requires_grad_(False) for name, net in nets.items()}


def _judges(model: Model) -> dict[str, tuple[str, ...]]:
    """The judging players and their networks."""
    players = model.players()
    for player in model.judges():
        if player not in players:
            raise Broken("model", model.name, f"has a judge that is none of its players: {player!r}")
    return {player: players[player] for player in model.judges()}


def optimizer(table: OptimizerTable, create: Create = create) -> optimizers.Optimizer:
    """The optimiser that a resolved table describes."""
    options = {key: value for key, value in table.items() if key != "name"}
    made: optimizers.Optimizer = create(optimizers.OPTIMIZERS[table["name"]], options, "optimizer")
    return made


def _bind(component: Bound, prefix: str, values: Values) -> Bound:
    """The component with the swept values whose path begins with `prefix`; "betas.0" sets an entry."""
    swept = {path.removeprefix(prefix): value for path, value in values.items() if path.startswith(prefix)}
    plain = {path: value for path, value in swept.items() if "." not in path}
    bound: Bound = bind(component, {**plain, **_entries(component, swept)}) if swept else component
    return bound


def _entries(component: Component, values: Values) -> dict[str, tuple[Number, ...]]:
    """Tuple options of which single entries are swept."""
    tuples: dict[str, list[Number]] = {}
    for path, value in values.items():
        name, _, index = path.partition(".")
        if index:
            tuples.setdefault(name, list(getattr(component, name)))[int(index)] = value
    return {name: tuple(entries) for name, entries in tuples.items()}
