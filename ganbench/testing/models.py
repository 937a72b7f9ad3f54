"""Checks of models: where they begin, what they generate, what they show."""

from __future__ import annotations

import torch

from ganbench.engine.sampling import Sampler
from ganbench.testing.case import Case, Trial
from ganbench.testing.findings import NotTried, Remark, Unmet, check
from ganbench.testing.untouched import generators_untouched, same

SAMPLES = 12


@check("model")
def starts_by_seed(case: Case) -> None:
    """Networks of one seed begin alike, those of another seed elsewhere.

    Fix: initialise from torch's generator in `networks` (it is that seed's own there), never from a seed
    of yours.
    """
    trial = case.trial
    first, again, other = trial.state(0), trial.state(0), trial.state(1)
    if not same(tuple(first), tuple(again)):
        raise Unmet("made twice for seed 0, the networks differ")
    # a model that draws nothing, such as the Dirac-GAN, rightly begins at one point
    if same(first.joint, other.joint) and _random(trial):
        raise Remark(
            "seeds 0 and 1 begin at the same parameters", "let the networks begin at random, if they may"
        )


@check("model")
def samples_like_the_data(case: Case) -> None:
    """Samples have the data's shape, are finite, and are the same for the same draws.

    Fix: `sample` gives n x shape of the data, from the networks and what `sample_draws` declares alone.
    """
    trial = case.stepping
    batch = sample_batch(trial)
    with generators_untouched():
        first, again = (_sampled(trial, batch) for _ in range(2))
    expected = (SAMPLES, *trial.data.spec.shape)
    if not isinstance(first, torch.Tensor) or first.shape != expected:
        shape = tuple(getattr(first, "shape", ()))
        raise Unmet(f"{SAMPLES} samples are {type(first).__name__} of shape {shape}, not {expected}")
    if not first.isfinite().all():
        raise Unmet("before training a sample is not finite")
    if not same(first, again):
        raise Unmet("two calls with the same draws gave other samples")


@check("model")
def shows_what_it_says(case: Case) -> None:
    """`inspect` gives all that `shows` names.

    Fix: `shows` names what `inspect` gives, each with a row a held-out row.
    """
    trial = case.stepping
    names = trial.program.model.shows
    if not names:
        raise NotTried("`shows` names nothing")
    state = trial.state()
    shown = Sampler(trial.program).inspect(state.joint, state.buffers, sample_batch(trial))
    missing = [name for name in names if name not in shown]
    if missing:
        raise Unmet(f"{missing[0]!r} is not there; it gives {', '.join(shown) or 'nothing'}")


@check("model")
def its_recipe_is_known(case: Case) -> None:
    """`recipe` names a loss and techniques that are there.

    Fix: name installed components, and options that they have.
    """
    recipe = getattr(case.cls, "recipe", {})
    named = [("loss", recipe[key]) for key in ("loss",) if key in recipe]
    named += [("technique", name) for name in recipe.get("techniques", ())]
    for kind, name in named:
        case.catalogue.get(kind, name)


def _random(trial: Trial) -> bool:
    """Whether making the networks draws anything."""
    before = torch.get_rng_state()
    # restores the generator afterwards; no devices, as networks are built on the CPU
    with torch.random.fork_rng(devices=[]):
        trial.program.model.networks(trial.data.spec)
        return not torch.equal(before, torch.get_rng_state())


def sample_batch(trial: Trial) -> dict[str, torch.Tensor]:
    """What SAMPLES samples are made of."""
    draws = Sampler(trial.program).draws(SAMPLES, 0, "kit")
    return {**trial.view.sample_batch(SAMPLES), **draws}


def _sampled(trial: Trial, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    state = trial.state()
    return Sampler(trial.program).sample(state.joint, state.buffers, batch)
