"""Every built-in combination trains the same run alone and in a stack, and takes swept values as options.

1e-9 holds where training itself does not amplify rounding more than that, so the settings here are ones
where it does not. Measured, after 200 steps, as loop against map (and, for scale, as the loop against itself
with the generator's initial weights moved by one unit in the last place):

- wgan-gp + gradient-clipping, 2 x 128, Adam of lr 3e-3: 8e-10 (2e-9); with eps 1e-3 in place of 1e-8: 8e-14.
- dcgan of width 4 under wasserstein + ttur, lr 1e-3: 4e-4 (9e-4); with lr 2e-4: 7e-13 (1e-12).
- dcgan under least-squares + weight-clipping on bytes: 2e-2 (2e-13). Weights that are all +-.01 and pixels
  that are all multiples of 1 / 127.5 cancel exactly, and rounding decides on which side of leaky ReLU's kink
  a unit is. On images of continuous values, as used here: 2e-15 (1e-15).
"""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree as pytree
from toys import variant

from ganbench.assemble import Program
from ganbench.components import Data, create, sweepable
from ganbench.draws import CHUNK, stream
from ganbench.executors import Eager
from ganbench.mapping import Looped, Mapped, Runs, unstacked
from ganbench.plugins import discover
from ganbench_builtin import losses, models, techniques

CPU = torch.device("cpu")
SMALL = {
    "mlp-gan": {"hidden": [8, 8]},
    "dcgan": {"width": 4, "latent": 4},
    "mlp-vae": {"hidden": [8], "latent": 2},
}
PAIRS = [
    ("spectral-norm", "r1"),
    ("wgan-gp", "gradient-clipping"),
    ("r1", "ema"),
    ("ttur", "weight-clipping"),
    ("gradient-clipping", "spectral-norm", "ema", "ttur"),
]


def combinations():
    """(model, loss, techniques) for all that fit: each technique alone, and a few together."""
    known = {cls.name: cls for cls in techniques.ALL}
    for model in models.ALL:
        for loss in losses.ALL:
            if loss.family != model.family:
                continue
            chosen = [(), *((name,) for name in known), *(PAIRS if loss is losses.NonSaturating else [])]
            for names in chosen:
                if all(known[name]().fits(model(), loss()) is None for name in names):
                    yield model.name, loss.name, names


ALL = list(combinations())


def test_combinations_are_many():
    assert len(ALL) == 3 * (5 * 8 + len(PAIRS)) + 3
    assert [names for model, _, names in ALL if model == "mlp-vae"] == [(), ("ema",), ("gradient-clipping",)]


@pytest.fixture(scope="module")
def world():
    """The catalogue, and small data for each model."""
    catalogue = discover()
    load = lambda name, **options: create(catalogue.get("dataset", name).cls, options).load(None)  # noqa: E731
    images = torch.rand((40, 1, 28, 28), generator=stream("cpu", 0, "images")) * 2 - 1
    data = {
        "mlp-gan": load("ring", size=500),
        "dirac-gan": load("point"),
        "mlp-vae": load("digits"),
        "dcgan": Data(train=images, test=images[:2]),
    }
    return catalogue, data


def program(world, model, loss, names=(), **changes):
    catalogue, data = world
    players = ("vae",) if model == "mlp-vae" else ("generator", "discriminator")
    defaults = {
        "options": SMALL,
        "players": players,
        "optimizer": {"name": "adam", "lr": 2e-4 if model == "dcgan" else 1e-3, "betas": [0.5, 0.999]},
    }
    return Program(variant(model, loss, names, **(defaults | changes)), catalogue, data[model]), data[model]


def train(trainer, steps):
    rows = []
    while steps:
        now = min(steps, CHUNK - trainer.step % CHUNK)
        rows.append(trainer.advance(now))
        steps -= now
    return torch.cat(rows)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def check_solo_is_stacked(world, model, loss, names, steps):
    made, data = program(world, model, loss, names, batch=4 if model == "dcgan" else 8)
    runs = Runs((0, 1), ({}, {}))
    looped, mapped = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    rows, mapped_rows = train(looped, steps), train(mapped, steps)
    close(looped.state(), mapped.state())
    close(rows, mapped_rows)
    assert looped.died() == [0, 0]
    start = made.initial(0, {}).joint
    assert all((flat[0] - start[player]).norm() > 1e-6 for player, flat in looped.state().joint.items())


def label(combination):
    model, loss, names = combination
    return f"{model}/{loss}/{'+'.join(names) or 'plain'}"


def ordinary(model):
    """Of one model: every loss plain, every technique with one of the losses, and the pairs."""
    own = [combination for combination in ALL if combination[0] == model]
    plain = [loss for _, loss, names in own if not names]
    single = [names for names in dict.fromkeys(names for *_, names in own) if len(names) == 1]
    chosen = {(model, plain[i % len(plain)], names) for i, names in enumerate(single)}
    return [c for c in own if c in chosen or len(c[2]) != 1]


ORDINARY = ordinary("mlp-gan") + ordinary("mlp-vae") + ordinary("dirac-gan")
REST = [c for c in ALL if c not in ORDINARY]


@pytest.mark.parametrize("combination", ORDINARY, ids=label)
def test_solo_is_stacked(world, combination):
    check_solo_is_stacked(world, *combination, steps=200)


@pytest.mark.parametrize("combination", ordinary("dcgan"), ids=label)
def test_solo_is_stacked_with_convolutions(world, combination):
    check_solo_is_stacked(world, *combination, steps=5)


@pytest.mark.slow
@pytest.mark.parametrize("combination", REST, ids=label)
def test_solo_is_stacked_in_every_other_combination(world, combination):
    check_solo_is_stacked(world, *combination, steps=200)


SWEEPS = [
    ("optimizer.generator.lr", (1e-4, 2e-3), ()),
    ("optimizer.discriminator.lr", (1e-4, 2e-3), ()),
    ("optimizer.discriminator.betas.0", (0.0, 0.9), ()),
    ("r1.gamma", (0.1, 5.0), ("r1",)),
    ("wgan-gp.weight", (0.5, 10.0), ("wgan-gp",)),
    ("wgan-gp.target", (0.0, 1.0), ("wgan-gp",)),
    ("weight-clipping.limit", (0.05, 0.5), ("weight-clipping",)),
    ("ttur.ratio", (1.0, 5.0), ("ttur",)),
    ("ema.decay", (0.5, 0.99), ("ema",)),
    ("gradient-clipping.max_norm", (0.01, 0.2), ("gradient-clipping",)),
]


def test_every_option_of_a_technique_that_can_be_swept_is_swept_here():
    possible = {f"{cls.name}.{option}" for cls in techniques.ALL for option in sweepable(cls)}
    assert possible == {path for path, *_ in SWEEPS if not path.startswith("optimizer")}


@pytest.mark.parametrize(("path", "values", "names"), SWEEPS, ids=[path for path, *_ in SWEEPS])
def test_a_swept_value_is_that_option(world, path, values, names):
    steps = 100
    made, data = program(world, "mlp-gan", "wasserstein", names)
    swept = Mapped(made, Runs((3, 3), tuple({path: value} for value in values)), data, CPU, Eager())
    rows = train(swept, steps)
    for run, value in enumerate(values):
        alone = Looped(with_value(world, names, path, value), Runs((3,), ({},)), data, CPU)
        close(train(alone, steps)[:, 0], rows[:, run])
        close(unstacked(alone.state(), 0), unstacked(swept.state(), run))
    first, second = (pytree.tree_leaves(unstacked(swept.state(), run)) for run in (0, 1))
    assert max((a - b).abs().max() for a, b in zip(first, second, strict=True)) > 1e-3


def with_value(world, names, path, value):
    """The program whose plain option is the value."""
    owner, *rest = path.split(".")
    if owner != "optimizer":
        return program(world, "mlp-gan", "wasserstein", names, options=SMALL | {owner: {rest[0]: value}})[0]
    player, option, *entry = rest
    tables = {
        who: {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]} for who in ("generator", "discriminator")
    }
    tables[player][option] = [value, 0.999] if entry else value
    return program(world, "mlp-gan", "wasserstein", names, optimizer=tables)[0]
