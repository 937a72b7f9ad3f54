"""The component that is checked, and the toy game that it is tried in."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ganbench._version import __version__
from ganbench.components.base import Component, create, sweepable
from ganbench.components.data import Data
from ganbench.components.kinds import (
    Loss,
    Metric,
    Model,
    Technique,
    players_without_objective,
    readable,
)
from ganbench.engine.game_view import PlayedGame
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Runs
from ganbench.errors import BadInput
from ganbench.game import Batch, Flow, GradientField
from ganbench.game.fields import functional_field
from ganbench.game.step import State
from ganbench.plugins.discovery import Catalogue, Registered
from ganbench.storage.records import ComponentEntry, OptionValue
from ganbench.testing import toys
from ganbench.testing.findings import NotTried, describe_error

CPU = torch.device("cpu")
# small, so that a step takes milliseconds; 64 toy samples still make several different batches
BATCH = 8
OPTIMIZER = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 1e-3}
"""Adam whose eps is large, so that it does not blow rounding errors up to whole steps."""
# functions, so that nothing is made until a model is tried on it
DATA: dict[str, Callable[[], Data]] = {
    "points": toys.points,
    "images": toys.images,
    "stacks": toys.stacks,
    "point": toys.point,
}
"""Data that models are tried on, in this order."""


@dataclass(frozen=True)
class Trial:
    """A toy game with the component in it.

    Arguments:
        config: a resolved variant, as far as a Program reads it.
        catalogue: holds the component, the toys and what is installed.
        data: the data set.
    """

    config: Mapping[str, OptionValue]
    catalogue: Catalogue
    data: Data

    @cached_property
    def program(self) -> Program:
        """The program of the game, in float64."""
        return Program(self.config, self.catalogue, self.data)

    @cached_property
    def view(self) -> PlayedGame:
        """The game where seed 0 begins."""
        state = self.state()
        return PlayedGame(self.program, {}, self.data, state.joint, state.buffers, 0, 1)

    @cached_property
    def field(self) -> GradientField:
        """The gradient field as techniques have it: a pure function, if they are."""
        game, _, wrap = self.program.bound({})
        return wrap(functional_field(game, self.program.modules))

    @property
    def without_objective(self) -> list[str]:
        """Players for which the loss has no method, where the model has no terms of their own."""
        model, loss = self.program.model, self.program.loss
        # a model with `terms` of its own can train a player without the loss
        alone = type(model).terms is not Model.terms
        return [] if alone else players_without_objective(loss, model)

    def state(self, seed: int = 0) -> State:
        """The state in which a seed begins."""
        return self.program.initial(seed, {})

    def batch(self, index: int = 0) -> dict[str, torch.Tensor]:
        """A batch of training; the same for the same index."""
        return self.view.batch("train", index)

    def flow(self, batch: Batch, turn: tuple[str, ...]) -> Flow:
        """Losses and gradients of a turn where seed 0 begins."""
        state = self.state()
        return self.field(turn, state.joint, state.buffers, batch)

    def looped(self, seeds: tuple[int, ...] = (0, 1)) -> Looped:
        """A trainer of some seeds, one after another."""
        return Looped(self.program, Runs(seeds, ({},) * len(seeds)), self.data, CPU)

    def changed(self, data: Data | None = None, **config: OptionValue) -> Trial:
        """The same game with another entry in its variant, or other data."""
        # a new Trial, since the cached program belongs to the old config
        return Trial({**self.config, **config}, self.catalogue, data or self.data)


class Case:
    """A component with its options, and what is needed to try it.

    Arguments:
        cls: the component.
        catalogue: what is installed: a loss is tried with models of its family, a model with its
            recipe's loss.
        options: of the component, where its defaults do not suffice.
        data: to try it on; None: small data of the kit's own.
        variant: other parts of the game, where the kit's choice does not suffice: "model", "loss",
            "techniques" (names), "options" (name -> options), "batch", "optimizer" (one table).
    """

    def __init__(
        self,
        cls: type[Component],
        catalogue: Catalogue,
        options: Mapping[str, OptionValue] | None = None,
        data: Data | None = None,
        variant: Mapping[str, OptionValue] | None = None,
    ) -> None:
        # copied: a test class shares one dict among all of its tests
        self.cls, self.options, self.data = cls, dict(options or {}), data
        self.variant = dict(variant or {})
        self.catalogue = with_toys(catalogue, cls)
        self.raised: dict[str, str] = {}
        """What was raised, in one line -> the check that reported it first."""
        self._errors: dict[str, str] = {}

    def make(self) -> Any:
        """The component with its options; BadInput where it cannot be made with them."""
        return create(self.cls, self.options, self.cls.name)

    @cached_property
    def component(self) -> Any:
        """The component; NotTried where it cannot be made, as `can-be-made` reports."""
        try:
            return self.make()
        except (Exception, SystemExit):
            raise NotTried("it cannot be made; see `can-be-made`") from None

    @cached_property
    def game(self) -> Trial | None:
        """A game with the component in which a step can be taken; else the first that can be built.

        NotTried where the component cannot be made.
        """
        # asked for its side effect: NotTried if it cannot be made
        self.component  # noqa: B018
        built = None
        for trial in self.games():
            error = raised(trial)
            if (not error or not self._excuses(error)) and self._serves(trial.program.model):
                return trial
            # kept, so that `trains` can report the error of a game that was built
            built = built or trial
        return built

    def _serves(self, model: Model) -> bool:
        """Whether the component, if it is a loss, has an objective for each player of the model."""
        return not issubclass(self.cls, Loss) or not players_without_objective(self.component, model)

    def _excuses(self, error: BaseException) -> bool:
        """Whether what a step raised may mean that the component was made for other games.

        A model cannot say for which data it is made; others say what they do not fit, by BadInput.
        """
        return isinstance(error, BadInput) or issubclass(self.cls, Model)

    @cached_property
    def trial(self) -> Trial:
        """The game; NotTried where none can be built, as `trains` reports."""
        if not self.game:
            raise NotTried("it cannot be built; see `trains`")
        return self.game

    @cached_property
    def stepping(self) -> Trial:
        """The game, where a step can be taken in it; NotTried where not, as `trains` reports."""
        if raised(self.trial):
            raise NotTried("no step can be taken; see `trains`")
        return self.trial

    @cached_property
    def flowing(self) -> Trial:
        """The game, where torch.func can differentiate it; NotTried where not, as `mappable` reports."""
        trial = self.trial
        try:
            # a turn may occur several times in a step: each is tried once, in order
            for turn in dict.fromkeys(trial.program.turns):
                trial.flow(trial.batch(), turn)
        except (Exception, SystemExit):
            raise NotTried("torch.func cannot differentiate it; see `trains` and `mappable`") from None
        return trial

    @property
    def swept(self) -> tuple[dict[str, float], dict[str, float]]:
        """Two values of every option that may be swept inside a stack, by path."""
        own = {name: float(getattr(self.component, name)) for name in sweepable(self.cls)}
        paths = {name: f"{self.cls.name}.{name}" for name in own}
        first = {paths[name]: value for name, value in own.items()}
        # 0 times 0.9 is still 0, and two equal values would not show a faulty mapping
        return first, {paths[name]: value * 0.9 or 0.05 for name, value in own.items()}

    def games(self) -> Iterator[Trial]:
        """All toy games that can be built with the component, the smallest first."""
        for config in self._configs():
            for name, data in self._datasets():
                trial = Trial(config, self.catalogue, data)
                try:
                    # both raise for an unsuitable game before a step is paid for
                    _fit(trial)
                    trial.program.draws()
                except (Exception, SystemExit) as error:
                    self._errors[f"{config['model']['name']} on {name}"] = describe_error(error, self.cls)
                    continue
                yield trial

    def families(self) -> set[str]:
        """Families of the installed models, for a loss; of the losses, for a model."""
        other = "model" if issubclass(self.cls, Loss) else "loss"
        return {getattr(one.cls, "family", "") for one in self._known(other).values()}

    @property
    def broken(self) -> bool:
        """Whether some game could not be built, rather than that there is none."""
        return bool(self._errors)

    def why_none(self) -> str:
        """Why there is no game to try it in: the first reasons of those that were met."""
        errors = list(self._errors.items())[:3]
        lacking = f"no installed component is of its family {getattr(self.cls, 'family', '')!r}"
        return "; ".join(f"{where}: {why}" for where, why in errors) or lacking

    def _datasets(self) -> list[tuple[str, Data]]:
        if self.data:
            return [("its data", self.data)]
        # only metrics can refuse data before a game is built (`fits`)
        made = [(name, make()) for name, make in DATA.items()]
        if not issubclass(self.cls, Metric):
            return made
        reasons = {name: self.component.fits(data) for name, data in made}
        self._errors |= {name: why for name, why in reasons.items() if why}
        return [(name, data) for name, data in made if not reasons[name]]

    def _configs(self) -> Iterator[dict[str, OptionValue]]:
        """Variants that hold the component, the smallest first."""
        for model, loss, techniques in self._partners():
            entry = self._entry("model", model)
            try:
                made: Model = create(self._cls("model", model), entry["options"], model)
                players = made.players()
            except (Exception, SystemExit) as error:
                self._errors[model] = describe_error(error, self.cls)
                continue
            table = self.variant.get("optimizer", OPTIMIZER)
            # the length is only for schedules, float64 so that differences are bugs and not rounding
            yield {
                "model": entry,
                "loss": self._entry("loss", loss),
                "techniques": [self._entry("technique", name) for name in techniques],
                "optimizer": {player: copy.deepcopy(table) for player in players},
                "steps": 1000,
                "batch": self.variant.get("batch", BATCH),
                "precision": "float64",
            }

    def _entry(self, kind: str, name: str) -> ComponentEntry:
        """A component of the game, with its options."""
        own = (kind, name) == (self.cls.kind, self.cls.name)
        options = self.options if own else self.variant.get("options", {}).get(name, {})
        return {"name": name, "options": dict(options)}

    def _partners(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(model, loss, techniques) by name."""
        own = self.cls
        for model in self._models():
            cls: type[Model] = self._cls("model", model)
            techniques = tuple(self.variant.get("techniques", ()))
            if issubclass(own, Technique):
                techniques = (*techniques, *own.requires, own.name)
            elif issubclass(own, Model):
                # a recipe may name techniques of a plugin that is not installed here
                recipe = cls.recipe.get("techniques", ())
                techniques = techniques or tuple(n for n in recipe if n in self._known("technique"))
            for loss in self._losses(cls):
                yield model, loss, techniques

    def _models(self) -> Sequence[str]:
        """Names of models to try it with."""
        if issubclass(self.cls, Model):
            return [self.cls.name]
        if "model" in self.variant:
            return [self.variant["model"]]
        # toys first: they take milliseconds, and most components fit one of them
        toy = [toys.ToyGAN.name, toys.ToyConvGAN.name]
        every = [*toy, *(name for name in self.catalogue.names("model") if name not in toy)]
        if issubclass(self.cls, Loss):
            return [name for name in every if self._cls("model", name).family == self.cls.family]
        if issubclass(self.cls, Metric):
            return [name for name in every if self._gives(self._cls("model", name), self.cls.reads)]
        return every

    def _gives(self, model: type[Model], reads: tuple[str, ...]) -> bool:
        """Whether a model has all that a metric reads."""
        return set(reads) <= _readable(model)

    def _losses(self, model: type[Model]) -> Sequence[str]:
        """Names of losses to try it with."""
        if issubclass(self.cls, Loss):
            return [self.cls.name]
        if "loss" in self.variant:
            return [self.variant["loss"]]
        wanted: str = model.recipe.get("loss", "")
        if wanted in self._known("loss"):
            return [wanted]
        if model.family == toys.ToyLoss.family:
            return [toys.ToyLoss.name]
        # a technique is tried with one loss only, for the sake of time
        fitting = [n for n in self.catalogue.names("loss") if self._cls("loss", n).family == model.family]
        return fitting[:1] if issubclass(self.cls, Technique) else fitting

    def _known(self, kind: str) -> Mapping[str, Registered[Component]]:
        return self.catalogue.components[kind]

    def _cls(self, kind: str, name: str) -> Any:
        return self.catalogue.get(kind, name).cls


def with_toys(catalogue: Catalogue, cls: type[Component] | None = None) -> Catalogue:
    """A copy of the catalogue that holds the kit's toys, and `cls` under its own name."""
    components = {kind: dict(registered) for kind, registered in catalogue.components.items()}
    ours: list[type[Component]] = [toys.ToyGAN, toys.ToyConvGAN, toys.ToyLoss]
    for one in [*ours, cls] if cls else ours:
        # a component that is registered keeps its true owner and version
        registered = components[one.kind].get(one.name)
        if not registered or registered.cls is not one:
            components[one.kind][one.name] = Registered(one, "kit", "ganbench", __version__)
    # a copy: the catalogue of installed components is cached and shared
    return dataclasses.replace(catalogue, components=components)


def _fit(trial: Trial) -> None:
    """Raise BadInput where a technique says that it does not fit."""
    program = trial.program
    for technique in program.techniques:
        why = technique.fits(program.model, program.loss)
        if why:
            raise BadInput(why)


def _readable(model: type[Model]) -> set[str]:
    """What metrics may read of a model as it is by default; nothing but what it shows without such."""
    try:
        return readable(model())
    except TypeError:
        # a model with required options cannot be asked for its players
        return set(model.shows)


def raised(trial: Trial) -> BaseException | None:
    """What a step of the game raises."""
    try:
        # by ordinary autograd, which more components support than torch.func
        trial.looped((0,)).advance(1)
    except (Exception, SystemExit) as error:
        return error
    return None
