"""Checks of losses: what each player's method makes of what a model gave."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ganbench.components import spelling
from ganbench.components.kinds import objective_of
from ganbench.testing.case import Case
from ganbench.testing.findings import NotTried, Unmet, check, describe_error
from ganbench.testing.untouched import generators_untouched, same, tensors_untouched

EXTREMES = (0.0, 1.0, -1.0, 50.0, -50.0, 100.0, -100.0)
"""Logits, and what else a model gives, the mildest first."""
MILDER = {"log_variance": 0.2}
"""Whose exponential is taken: beyond 20 it does not fit into float32."""
Out = dict[str, Tensor]


@check("loss")
def gives_a_scalar(case: Case) -> None:
    """Each player's method gives one number, a tensor of no dimensions.

    Fix: return the mean over the batch: `.mean()` gives a scalar.
    """
    _names_its_players(case)
    for player, out in _outs(case):
        value = _value(case, player, out)
        if not isinstance(value, Tensor):
            raise Unmet(f"the {player}'s method gave {type(value).__name__}: {value!r}", "return a tensor")
        if value.shape != ():
            raise Unmet(f"the {player}'s method gave a tensor of shape {tuple(value.shape)}")


@check("loss")
def finite_at_extremes(case: Case) -> None:
    """In float32 its value and gradient are finite wherever logits, and what else it reads, are up to +-100.

    Fix: use torch's softplus, logsigmoid and logsumexp in place of log(sigmoid(x)) and log(sum(exp(x))).
    """
    for player, out in sound(case):
        for values in _extremes(out):
            fault = _not_finite(case, player, _at(out, values))
            if fault:
                where = " and ".join(f"{name} = {value:g}" for name, value in values.items())
                raise Unmet(f"at {where} the {player}'s {fault}")


@check("loss")
def hides_no_nan(case: Case) -> None:
    """Where one entry that it reads is nan, its value is not a number that looks sound.

    Fix: let nan pass: no nan_to_num, no `where` that replaces it.
    """
    for player, out in sound(case):
        for name in _read(case, player, out):
            poisoned = out[name].clone()
            # one entry, not all: a masked mean hides a single nan most easily
            poisoned.view(-1)[0] = math.nan
            value = _method(case, player)({**out, name: poisoned})
            if value.isfinite():
                raise Unmet(f"with a nan in {name} the {player}'s value is {value.item():.4g}")


@check("loss")
def depends_on_its_input_alone(case: Case) -> None:
    """Asked twice it gives the same value bit for bit, and leaves its input as it was.

    Fix: keep nothing between calls: a loss has no state; draw nothing.
    """
    for player, out in sound(case):
        method = _method(case, player)
        with tensors_untouched("of what the model gave,", out), generators_untouched():
            first = method(out)
            # a call on other input in between shows a loss that remembers
            method({name: x + 1 for name, x in out.items()})
            again = method(out)
        if not same(first, again):
            raise Unmet(f"the {player}'s value was {first.item():.6g}, then {again.item():.6g}")


def _names_its_players(case: Case) -> None:
    """Unmet where a player of the game has no method."""
    without = case.trial.without_objective
    if without:
        near = {name: spelling.closest(name, without) for name in spelling.own(case.cls)}
        hints = [spelling.misnamed(name, meant) for name, meant in near.items() if meant]
        players = ", ".join(case.trial.program.model.players())
        reason = "; ".join([f"the loss has no objective for {without[0]!r}", *hints])
        raise Unmet(reason, f"name each method as its player: {players}")


def _method(case: Case, player: str) -> Callable[[Out], Tensor]:
    """The loss's method for a player of the game."""
    method = objective_of(case.component, case.trial.program.model, player)
    assert method is not None  # `sound` and `_outs` leave the others out
    return method


def _value(case: Case, player: str, out: Out) -> object:
    """What the player's method gives; Unmet where it reads what the model did not give."""
    try:
        return _method(case, player)(dict(out))
    except KeyError as error:
        name = error.args[0]
        # then the KeyError is of a dictionary of the loss's own, and no missing output
        if name in out:
            raise
        seen = f"the {player}'s method reads {name!r}; on that turn there are {', '.join(out)}"
        # models give real logits on the generator's turn only to losses that ask for pairs
        pairs = name == "real_logits" and not case.component.pairs
        raise Unmet(seen, "write `pairs = True` next to `family`" if pairs else "read one of these") from None


def sound(case: Case) -> list[tuple[str, Out]]:
    """(player, outputs) of the game; NotTried unless each player's method gives a number of them."""
    if case.trial.without_objective:
        raise NotTried("a player has no objective; see `gives-a-scalar`")
    outs = list(_outs(case))
    for player, out in outs:
        try:
            # a copy, since the method may write into the mapping
            sound = _method(case, player)(dict(out)).shape == ()
        except (Exception, SystemExit):
            sound = False
        if not sound:
            raise NotTried("its methods do not return numbers; see `gives-a-scalar`")
    return outs


def _outs(case: Case) -> Iterator[tuple[str, Out]]:
    """(player, what a model of its family gave on that player's turn), in float64."""
    trial = case.trial
    view, model = trial.view, trial.program.model
    for player in (player for player in view.players if objective_of(case.component, model, player)):
        with torch.no_grad():
            out = view.play(player, view.joint, trial.batch())
        # clones: several outputs may be views of one tensor
        yield player, {name: x.clone() for name, x in out.items()}


def _extremes(out: Out) -> Iterator[dict[str, float]]:
    """Values to put in place of some entries: each alone, and all pairs of logits, the mildest first."""
    # pairs of logits only: all tuples of all outputs would be thousands of calls
    logits = [name for name in out if name.endswith("logits")]
    alone = [(name,) for name in out if out[name].is_floating_point()]
    made = [
        {name: value * MILDER.get(name, 1.0) for name, value in zip(names, values, strict=True)}
        for names in [*alone, *itertools.combinations(logits, 2)]
        for values in itertools.product(EXTREMES, repeat=len(names))
    ]
    # the mildest first, so that the message names the smallest value that fails
    yield from sorted(made, key=lambda values: (max(map(abs, values.values())), len(values)))


def _at(out: Out, values: dict[str, float]) -> Out:
    """The out in float32, with these values all over the entries of these names."""
    # float32 as in training: float64 would hide overflow of exp
    single = {name: x.float() if x.is_floating_point() else x for name, x in out.items()}
    return single | {name: torch.full_like(single[name], value) for name, value in values.items()}


def _not_finite(case: Case, player: str, at: Out) -> str:
    """What of its value and gradient is not finite there; empty where all is."""
    leaves = {name: x.clone().requires_grad_() for name, x in at.items() if x.is_floating_point()}
    try:
        value = _method(case, player)({**at, **leaves})
    except (Exception, SystemExit) as error:
        return f"method raised {describe_error(error, case.cls)}"
    if not value.isfinite().all():
        return f"value is {value.flatten()[0].item()}"
    if not value.requires_grad:
        return ""
    gradients = torch.autograd.grad(value.sum(), list(leaves.values()), allow_unused=True)
    for name, gradient in zip(leaves, gradients, strict=True):
        # None: the value does not depend on that entry
        if gradient is not None and not gradient.isfinite().all():
            odd = gradient[~gradient.isfinite()].flatten()[0].item()
            return f"gradient with respect to {name} is {odd}"
    return ""


def _read(case: Case, player: str, out: Out) -> list[str]:
    """Entries that the value depends on."""
    leaves = {name: x.clone().requires_grad_() for name, x in out.items() if x.is_floating_point()}
    value = _method(case, player)({**out, **leaves})
    if not value.requires_grad:
        raise NotTried(f"the {player}'s value depends on nothing that can be differentiated")
    gradients = torch.autograd.grad(value.sum(), list(leaves.values()), allow_unused=True)
    return [name for name, g in zip(leaves, gradients, strict=True) if g is not None and g.abs().sum() > 0]
