"""The kinds of component: one abstract class each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ganbench.errors import BadInput

# for annotations only: listing plugins must not wait for torch
if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from ganbench.components.game_view import GameView
    from ganbench.game import Batch, GradientField, Objective, Out, Play, Turn
    from ganbench.game.draws import Draw
    from ganbench.game.nets import Nets
    from ganbench.game.update_rules import Rule
from ganbench.components.base import Component
from ganbench.components.data import Data, Dataset, DataSpec
from ganbench.storage.records import ObservedRow, OptionValue, RunRow, StackInfo, SuiteLock

BuildNetworks = Callable[[DataSpec], "dict[str, nn.Module]"]
"""Makes the freshly initialised networks of one run, by name."""
Direction = Literal["higher", "lower"]


class Model(Component):
    """Networks, who owns them (players), who moves when (turns), and how they meet (play)."""

    kind = "model"
    family: ClassVar[str]
    """Which losses fit: "adversarial" or "variational", or a word of your own."""
    recipe: ClassVar[Mapping[str, OptionValue]] = {}
    """What it was published with: loss, techniques, optimizer, batch, as in a suite. Taken for what a suite
    leaves out."""
    shows: ClassVar[tuple[str, ...]] = ()
    """Names of what `inspect` gives."""
    pairs: ClassVar[bool] = False
    """Set by the core: whether the loss reads both kinds of logits on every player's turn."""

    @abstractmethod
    def players(self) -> dict[str, tuple[str, ...]]:
        """Player name -> the names of its networks. Players never share a network."""

    def turns(self) -> tuple[Turn, ...]:
        """Who moves together, in order, in one step. Default: each player once, one after another."""
        # one after another, as in the GAN of Goodfellow et al. 2014
        return tuple((player,) for player in self.players())

    def judges(self) -> tuple[str, ...]:
        """Players that tell real from generated samples. Default: the one called "discriminator", if any.

        Their accuracies and logit gap are recorded, they can saturate, and techniques for the discriminator
        act on them. On a judge's own turn `play` gives its real_logits and fake_logits.
        """
        return tuple(player for player in self.players() if player == "discriminator")

    @abstractmethod
    def networks(self, spec: DataSpec) -> dict[str, nn.Module]:
        """Freshly initialised networks of one run, by name. Called under that run's own stream.

        A network without parameters may belong to no player: it keeps state in buffers.
        """

    def draws(self, spec: DataSpec, batch: int) -> dict[str, Draw]:
        """Every random tensor that `play` reads from its batch, in addition to "data" and "labels"."""
        return {}

    @abstractmethod
    def play(self, player: str, nets: Nets, batch: Batch) -> Out:
        """What `player`'s objective needs, e.g. real_logits and fake_logits. Pure.

        `nets[name]` calls a network; `batch` holds "data" (B x shape), "labels", "map" (B x H x W),
        "source" and "source_labels" where the data set has them, "step" (the number of the step being
        taken, from 1), and the declared draws.
        """

    def conditioned(self, nets: Nets, batch: Batch) -> Nets:
        """The networks as `play` and the techniques see them: with this batch's conditions bound.

        A conditional discriminator's labels go in here (`nets.around`), so that callers give it
        samples and get logits, as from any other network.
        """
        return nets

    def terms(self, player: str, out: Out) -> Tensor | None:
        """What `player`'s objective holds in addition to the loss (cycle consistency, …), or None.

        A player for which the loss has no method has these alone.
        """
        return None

    @abstractmethod
    def sample_draws(self, spec: DataSpec, n: int) -> dict[str, Draw]:
        """The random tensors that `sample` and `inspect` read."""

    @abstractmethod
    def sample(self, nets: Nets, batch: Batch) -> Tensor:
        """Generated samples, n x shape, in the range of the data.

        Beside the draws, `batch` holds n held-out rows, some repeatedly where there are fewer: "data",
        "labels", "map", "source", "source_labels", as far as the data have them.
        """

    def inspect(self, nets: Nets, batch: Batch) -> Out:
        """What metrics read besides samples (codes, reconstructions, …): all that `shows` names.

        The batch is as `sample`'s, but its held-out rows are distinct.
        """
        return {}


class Loss(Component):
    """Objectives: one method per player, with the player's name, from the output of `play` to a scalar.

    Two names serve players of other names as well: see `objective_of`.
    """

    kind = "loss"
    family: ClassVar[str]
    has_boundary: ClassVar[bool] = True
    """Whether the sign of a logit says real or generated. Where it does not (Wasserstein), accuracies mean
    nothing and no run can saturate."""
    pairs: ClassVar[bool] = False
    """Whether it reads real_logits on the generator's turn too (relativistic losses)."""

    @classmethod
    def asked_every_step(cls) -> bool:
        """Always true: each turn calls a method."""
        return True


def objective_of(loss: Loss, model: Model, player: str) -> Callable[[Out], Tensor] | None:
    """The method of a loss that gives a player's objective, None where there is none.

    The one that is named as the player. Without one, a judge has `discriminator`, and the only player that
    does not judge has `generator`.
    """
    # Losses are written for a duel and name its two sides; models may call their players what they like. Of
    # several players that do not judge (an encoder, say), which one "generator" means is not ours to guess.
    judges = model.judges()
    others = [other for other in model.players() if other not in judges]
    side = player
    if player in judges:
        side = "discriminator"
    elif judges and others == [player]:
        side = "generator"
    methods = (getattr(loss, name, None) for name in (player, side))
    return next((method for method in methods if callable(method)), None)


def players_without_objective(loss: Loss, model: Model) -> list[str]:
    """Players for which a loss has no method."""
    return [player for player in model.players() if objective_of(loss, model, player) is None]


class Technique(Component):
    """A stabiliser. It wraps one or more arrows; what it does not wrap it returns as is."""

    kind = "technique"
    order: ClassVar[int] = 0
    """Techniques are applied in this order, the lowest innermost; equal ones in the order of the suite."""
    conflicts: ClassVar[tuple[str, ...]] = ()
    """Names of techniques that it cannot be used with."""
    requires: ClassVar[tuple[str, ...]] = ()
    """Names of techniques that it cannot be used without."""
    judges: ClassVar[Mapping[str, tuple[str, ...]]] = {"discriminator": ("discriminator",)}
    """Set by the core: the model's judging players (`Model.judges`) and the networks of each."""
    differentiates: ClassVar[bool] = False
    """Whether its field differentiates the field that it wraps: then that is pure in the loop as well."""

    @classmethod
    def asked_every_step(cls) -> bool:
        """True unless it wraps networks, which are built once."""
        # functions of a class compare by identity: equal means not overridden
        return (cls.network, cls.networks) == (Technique.network, Technique.networks)

    def within(self, steps: int) -> Technique:
        """This technique in a run of `steps` steps: for schedules that end with the run."""
        return self

    def network(self, name: str, net: nn.Module) -> nn.Module:
        """Wrap a network at its construction (spectral norm, …)."""
        return net

    def networks(self, build: BuildNetworks, spec: DataSpec) -> dict[str, nn.Module]:
        """Wrap the construction of all networks: `build(spec)` makes them.

        Build for another spec (packing), or add a network without parameters to keep state in.
        """
        # the default makes `network` enough for most techniques
        return {name: self.network(name, net) for name, net in build(spec).items()}

    def play(self, inner: Play) -> Play:
        """Wrap (player, nets, batch) -> out (what the discriminator sees: noise, augmentation, …)."""
        return inner

    def objective(self, inner: Objective) -> Objective:
        """Wrap (player, nets, batch, out) -> scalar (penalties, …)."""
        return inner

    def field(self, inner: GradientField) -> GradientField:
        """Wrap the gradient vector field (consensus, …)."""
        return inner

    def rule(self, inner: Rule) -> Rule:
        """Wrap the optimiser (TTUR, weight clipping, averaging, …)."""
        return inner

    def draws(self, spec: DataSpec, batch: int) -> dict[str, Draw]:
        """Random tensors that the wrapped arrows read from the batch. Prefix them with your name."""
        return {}

    def fits(self, model: Model, loss: Loss) -> str | None:
        """None, or one sentence saying why this technique cannot be used with them."""
        return None


def _no_classes(extractor: str, samples: Tensor) -> Tensor:
    raise BadInput(f"the extractor {extractor!r} gives features, not classes; choose classifier")


# == of tensors gives a tensor, which has no single truth value
@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a metric sees: one run's samples at one step, and the data they imitate.

    Arguments:
        samples: n x shape, float, in the range of the data.
        data: the data set.
        real: n -> n real training samples, float, always the same for the same n.
        features: (extractor name, samples) -> n x d features, float64, on the CPU; real samples
            from `real` are extracted once and cached, those of `samples` once an evaluation.
        generator: the metric's own random stream: no other metric draws from it.
        point: player -> parameters (a flat vector), where a metric looks at the game itself.
        given: the held-out rows that the samples were made for, n each: "data", "labels", "map", "source",
            "source_labels", as far as the data have them.
        inspected: what `Model.inspect` gives of distinct held-out rows, and those rows as "given/data", ….
        labels: (extractor name, samples) -> the class of each, int64, by an extractor that classifies.
        probabilities: (extractor name, samples) -> n x classes, float64 on the CPU, by one that classifies.
        view: the game at this point: losses and gradients as functions of the parameters.
    """

    samples: Tensor
    data: Data
    real: Callable[[int], Tensor]
    features: Callable[[str, Tensor], Tensor]
    generator: torch.Generator
    point: Mapping[str, Tensor]
    given: Mapping[str, Tensor] = field(default_factory=dict)
    inspected: Callable[[], Mapping[str, Tensor]] = dict
    # most extractors classify nothing: asking one for classes is bad input
    labels: Callable[[str, Tensor], Tensor] = _no_classes
    probabilities: Callable[[str, Tensor], Tensor] = _no_classes
    view: GameView | None = None


class Metric(Component):
    """A measurement at an evaluation step. It may give several values."""

    kind = "metric"
    values: ClassVar[dict[str, Direction]]
    """Value name -> which direction is better. The first is the metric's own."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Names of what it reads of `Model.inspect`, and of players; "judges" for players that judge, whatever
    their names. Models without them it cannot measure."""
    extractor: str = ""
    """Name of the feature extractor, "" where none is used (an option where a metric has one)."""

    @property
    def least(self) -> int:
        """The smallest number of samples that it takes."""
        return 1

    def extractor_for(self, data: Data) -> str:
        """Name of the extractor that `measure` asks for on these data, "" where it asks for none."""
        return self.extractor

    def fits(self, data: Data) -> str | None:
        """None, or one sentence saying why this metric cannot be taken on these data."""
        return None

    @abstractmethod
    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """All of `values`. May be inf or nan where that is the truth."""


def readable(model: Model) -> set[str]:
    """Everything of a model that `Metric.reads` may name."""
    # judges go by many names (critic, discriminator_a), so metrics can ask for all at once
    return {*model.shows, *model.players(), *(["judges"] if model.judges() else [])}


class Extractor(Component):
    """Maps samples to features for FID and its family."""

    kind = "extractor"

    @abstractmethod
    def prepare(self, data: Data, cache: Path) -> Callable[[Tensor], Tensor]:
        """A function from n x shape samples (float, range of the data) to n x d features.

        It may have the methods `classify`, from samples to their classes (n, int64), and `probabilities`,
        to those of each class (n x classes).

        Called once a process and data set; train or load what is needed, keeping files under
        `cache`. Several processes may call it at once.
        """

    @abstractmethod
    def digest(self, data: Data) -> str:
        """A hash of everything the features depend on (weights, or what they are trained on)."""


class Executor(Component):
    """How a step is executed: as it is, compiled, captured as a graph, …"""

    kind = "executor"

    def available(self, device: str) -> str | None:
        """None, or one sentence saying why it cannot be used on `device`."""
        return None

    @abstractmethod
    def prepare(
        self, step: Callable[..., None], written: tuple[Tensor, ...], read: tuple[Tensor, ...]
    ) -> Callable[[], None]:
        """A faster function that does what `step(*written, *read)` does.

        It updates the tensors of `written` in place. Those of `read` hold data and draws, which may be large
        and get other values between calls: read them anew in each call, and copy none of them. Preparing
        leaves all tensors as they were.
        """


class Logger(Component):
    """Sends what happens in a suite elsewhere: to a dashboard, a tracking server, a file of another form.

    `ganbench run SUITE --log NAME` switches it on for that call. It is called in the process that the user
    started, one call at a time, in a thread of its own: a slow one holds up nothing, one that raises is
    warned of once. It changes neither runs nor their keys. What it keeps from call to call goes into a
    `functools.cached_property`, for its fields are its options and frozen.
    """

    kind = "logger"

    def available(self) -> str | None:
        """None, or one sentence saying why it cannot be used here: a missing package, say."""
        return None

    def opened(self, root: Path, suite: SuiteLock) -> None:
        """A session begins. `root`: the folder of results; `suite`: the resolved suite (suite.lock.json)."""

    def started(self, stack: StackInfo) -> None:
        """A stack begins or resumes, at stack["step"]."""

    def evaluated(self, stack: StackInfo, step: int, rows: Sequence[ObservedRow]) -> None:
        """A stack was evaluated. `rows`: one a (run, metric): run, variant, seed, metric, value, weights, …

        After a crash, steps since the last checkpoint are trained again, and their evaluations come twice.
        """

    def finished(self, stack: StackInfo, runs: Sequence[RunRow]) -> None:
        """A stack ended. `runs`: its rows of results, one a run: key, variant, seed, outcome, reason, …"""

    def closed(self) -> None:
        """The session ends, normally or by Ctrl-C. The last call."""


_ALL: tuple[type[Component], ...] = (
    Model,
    Loss,
    Technique,
    Dataset,
    Metric,
    Extractor,
    Executor,
    Logger,
)
KINDS = {cls.kind: cls for cls in _ALL}
