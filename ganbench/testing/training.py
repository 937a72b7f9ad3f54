"""Checks of what takes part in a training step: models, losses and techniques."""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import torch
from torch.utils import _pytree as pytree

from ganbench.components import spelling
from ganbench.components.kinds import Loss, Model
from ganbench.engine.mappable import why_not_mappable
from ganbench.game.step import ALONE, State, clocks
from ganbench.plugins.validation import of_arrows
from ganbench.testing.case import Case, Trial, raised
from ganbench.testing.findings import NotTried, Unmet, check
from ganbench.testing.losses import sound
from ganbench.testing.untouched import furthest, generators_untouched, same, tensors_untouched

# 20 batches of 8 are two and a half passes over the toy data, and take well below a second
STEPS = 20
TRAINED = ("model", "loss", "technique")


@check("model", "loss")
def is_of_a_known_family(case: Case) -> None:
    """A model is installed of a loss's family, a loss of a model's.

    Fix: write the family's name as the others do; one of your own needs a model and a loss.
    """
    family, others = cast("type[Model | Loss]", case.cls).family, case.families()
    if family in others:
        return
    meant = spelling.closest(family, others)
    seen = f"no installed component is of its family {family!r}"
    if not meant:
        raise NotTried(seen)
    raise Unmet(f"{seen}; did you mean {meant!r}?", f'write `family = "{meant}"`')


@check("technique")
def wraps_something(case: Case) -> None:
    """It wraps an arrow: the network, play, the objective, the field or the rule.

    Fix: name its method as the arrow that it wraps.
    """
    why = of_arrows(case.cls)  # type: ignore[arg-type]
    if why:
        raise Unmet(why.reason)


@check(*TRAINED)
def trains(case: Case) -> None:
    """20 steps of a toy game raise nothing, stay finite and move every player.

    Fix: correct the code that raised it; if it cannot be used with a model or data, say so (`fits`,
    BadInput).
    """
    if not case.game:
        # where nothing is of its family, that is no fault of the component
        raise (Unmet if case.broken else NotTried)(case.why_none())
    if issubclass(case.cls, Loss):
        # a loss without numbers is reported by `gives-a-scalar`, not here as well
        sound(case)
    trainer = case.game.looped()
    start = trainer.state()
    trainer.advance(STEPS)
    died = max(trainer.died())
    if died:
        raise Unmet(
            f"something was not finite at step {died}", "look for a division by 0, log(0) or exp of much"
        )
    moved = trainer.state()
    for player, flat in moved.joint.items():
        # bit for bit: any move will do, however small
        if torch.equal(flat, start.joint[player]):
            hint = "let its objective depend on its own networks: no detach(), no torch.no_grad()"
            raise Unmet(f"the {player} did not move", hint)


@check(*TRAINED)
def reaches_only_the_mover(case: Case) -> None:
    """On each turn the turn's players have a gradient, and no other player moves.

    Fix: a field gives the gradients of the turn's players, a rule moves those that it got gradients of.
    """
    trial = case.flowing
    turns = trial.program.turns
    state, rule = _begun(trial), trial.program.rule({})
    # the state stays the same, so that each turn is judged on its own
    for turn, clock in zip(turns, clocks(turns, 1), strict=True):
        flow = trial.field(turn, state.joint, state.buffers, trial.batch())
        leaked = sorted(set(flow.gradients) - set(turn))
        if leaked:
            raise Unmet(f"on the turn of {' and '.join(turn)} there is a gradient of the {leaked[0]} too")
        for player in turn:
            # `not ... > 0` also catches a norm that is nan
            if player not in flow.gradients or not flow.gradients[player].norm() > 0:
                hint = "let its objective depend on its own networks: no detach(), no torch.no_grad()"
                raise Unmet(f"on its turn the {player} has no gradient", hint)
        joint, _ = rule.apply(flow.gradients, state.joint, state.memory, clock)
        for player in sorted(set(joint) - set(turn)):
            if not torch.equal(joint[player], state.joint[player]):
                raise Unmet(f"on the turn of {' and '.join(turn)} the {player} moved")


@check(*TRAINED)
def pure(case: Case) -> None:
    """The same point and batch give the same gradient bit for bit, whatever was asked before.

    Fix: keep nothing between calls but in registered buffers or the rule's memory; call no random
    function.
    """
    trial = case.flowing
    for turn in dict.fromkeys(trial.program.turns):
        # another batch in between shows what a component remembers
        first, _, again = (trial.flow(trial.batch(index), turn) for index in (0, 1, 0))
        if not same(tuple(first), tuple(again)):
            off = furthest(first.gradients, again.gradients)
            raise Unmet(f"asked again, the gradient of {' and '.join(turn)} was off by {off:.1g}")


@check(*TRAINED)
def changes_nothing_in_place(case: Case) -> None:
    """The batch and the parameters are left as they were.

    Fix: write x = x.clamp(...), not x.clamp_(...) nor x += ...: the batch is shared.
    """
    trial = case.stepping
    batch, state = trial.batch(), trial.state()
    with tensors_untouched("of the batch,", batch), tensors_untouched("of the parameters,", state.joint):
        # the step that users run; a pure copy would hide changes in place
        trial.program.step_alone({}, ALONE, "cpu")(state, [batch] * len(trial.program.turns), 1)


@check(*TRAINED)
def leaves_global_generators_alone(case: Case) -> None:
    """torch's, numpy's and Python's global generators are neither drawn from nor seeded.

    Fix: declare what you draw in `draws`, and read it from the batch; elsewhere, use a generator of your
    own.
    """
    trial = case.flowing
    with generators_untouched():
        trial.program.initial(0, {})
        for turn in dict.fromkeys(trial.program.turns):
            trial.flow(trial.batch(), turn)


@check(*TRAINED)
def mappable(case: Case) -> None:
    """Mapped over two seeds, and over the options that may be swept, it gives what it gives run by run.

    Fix: write for one run: no .item(), no `if` on tensors, no data-dependent shapes, input_grad for
    slopes; it works without, but slowly.
    """
    trial = case.stepping
    why = why_not_mappable(trial.config, case.swept, trial.catalogue, trial.data)
    if why:
        raise Unmet(f"{why}; it will be trained serially, one run after another")


@check(*TRAINED)
def restores(case: Case) -> None:
    """Stopped after 2 steps and restored, it ends after 4 where it does uninterrupted.

    Fix: keep state in the rule's memory or in registered buffers, where checkpoints find it.
    """
    trial = case.stepping
    whole = trial.looped()
    # 4 steps against 2 and 2, so that state must pass through the checkpoint
    whole.advance(4)
    begun = trial.looped()
    begun.advance(2)
    checkpoint = pytree.tree_map(lambda tensor: tensor.clone(), begun.state())
    resumed = trial.changed().looped()  # a program of its own: nothing is shared but the state
    resumed.restore(State(*checkpoint), 2)
    resumed.advance(2)
    if not same(tuple(whole.state()), tuple(resumed.state())):
        off = furthest(whole.state().joint, resumed.state().joint)
        raise Unmet(f"restored, its parameters are off by {off:.1g}")


@check(*TRAINED)
def tells_of_nan(case: Case) -> None:
    """Data that are nan end the run as diverged; nothing is raised and nothing hidden.

    Fix: let nan pass: no nan_to_num, no `where` that replaces it; the run then ends as diverged, which is
    a result.
    """
    trial = case.stepping
    if not _reads(case.flowing, "data"):
        raise NotTried("it does not read the data")
    # all of it: whichever samples a batch draws, they are nan
    poisoned = dataclasses.replace(trial.data, train=torch.full_like(trial.data.train, math.nan))
    trainer = trial.changed(data=poisoned).looped((0,))
    trainer.advance(2)
    # 0 is a run that lives: the core ends a run at its first value that is not finite
    if trainer.died() == [0]:
        raise Unmet("two steps on nan left the run alive")


@check(*TRAINED)
def tells_of_an_empty_batch(case: Case) -> None:
    """An empty batch gives nan or a message, not a number that looks sound.

    Fix: take means over the batch, not sums, so that none gives nan; or raise ganbench.BadInput.
    """
    trial = case.flowing.changed(batch=0)
    for turn in dict.fromkeys(trial.program.turns):
        try:
            losses = trial.flow(trial.batch(), turn).losses
        except (Exception, SystemExit) as error:
            # any message will do: users never train on empty batches, but must not get a silent number
            if str(error):
                return
            raise Unmet(f"an empty batch raised {type(error).__name__} without a message") from None
        if all(loss.isfinite().all() for loss in losses.values()):
            player, value = next(iter(losses.items()))
            raise Unmet(f"the {player}'s objective of an empty batch is {value.item():.4g}")


@check("model", "technique")
def declares_its_draws(case: Case) -> None:
    """What it reads from the batch is there: data, labels, … and what `draws` declares.

    Fix: name it in `draws`, under the name by which it is read.
    """
    trial = case.trial
    batch = trial.batch()
    for turn in dict.fromkeys(trial.program.turns):
        try:
            trial.flow(batch, turn)
        except KeyError as error:
            # a KeyError of the component's own dictionaries is left to `trains`
            if str(error.args[0]) not in batch:
                there = ", ".join(sorted(batch))
                raise Unmet(f"it reads {error.args[0]!r}; in the batch there are {there}") from None
        except (Exception, SystemExit):
            raise NotTried("no step can be taken; see `trains`") from None


def _begun(trial: Trial) -> State:
    """Where seed 0 is after two steps: networks may begin with zeros and give nobody a gradient."""
    if raised(trial):
        return trial.state()
    trainer = trial.looped((0,))
    trainer.advance(2)
    return pytree.tree_map(lambda tensor: tensor[0], trainer.state())  # type: ignore[no-any-return]


def _reads(trial: Trial, name: str) -> bool:
    """Whether some turn reads that entry of the batch."""
    read: set[str] = set()

    # a real dict, so that components that copy or unpack it still work
    class Recording(dict[str, torch.Tensor]):
        def __getitem__(self, key: str) -> torch.Tensor:
            read.add(key)
            return super().__getitem__(key)

    for turn in dict.fromkeys(trial.program.turns):
        trial.flow(Recording(trial.batch()), turn)
    return name in read
