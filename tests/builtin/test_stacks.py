"""Every built-in model, loss and technique trains the same run alone and in a stack, in float64.

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

from ganbench.components.base import create, sweepable
from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs, unstacked
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import CHUNK, stream
from ganbench.plugins.discovery import discover
from ganbench_builtin import losses, models, techniques

CPU = torch.device("cpu")
TECHNIQUES = {cls.name: cls for cls in techniques.ALL}
LOSSES = {cls.name: cls for cls in losses.ALL}
MODELS = {cls.name: cls for cls in models.ALL}
SMALL = {
    "mlp-gan": {"hidden": [8, 8]},
    "mlp-vae": {"hidden": [8], "latent": 2},
    "dcgan": {"width": 4, "latent": 4},
    "wgan": {"width": 4, "latent": 4},
    "sngan": {"width": 4, "discriminator_width": 4, "latent": 4},
    "cgan": {"hidden": [8], "latent": 4},
    "projection-gan": {"width": 4, "latent": 4},
    "acgan": {"width": 4, "latent": 4},
    "pacgan-net": {},
    "stacked-dcgan": {"width": 4, "latent": 4},
    "stacked-dcgan-small": {"width": 4, "latent": 4},
    "cyclegan": {"width": 2, "blocks": 1, "discriminator_width": 2, "pool": 3},
    "gaugan": {
        "width": 2,
        "hidden": 2,
        "latent": 2,
        "encoder_width": 2,
        "discriminator_width": 2,
    },
    "conv-vae": {"width": 4, "latent": 2},
    "vae-gan": {"latent": 2},
}
"""Options that make models small, of those that have them."""
COSTLY = ("consensus", "symplectic", "unrolled")
"""Techniques whose steps take several gradients of gradients."""
SGD = {"name": "sgd", "lr": 1e-3}
ADAM = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
PAIRS = [
    ("spectral-norm", "r1"),
    ("wgan-gp", "gradient-clipping"),
    ("r1", "ema"),
    ("ttur", "weight-clipping"),
    ("gradient-clipping", "spectral-norm", "ema", "ttur"),
    ("consensus", "r1", "lookahead"),
    ("packing", "instance-noise", "optimistic-adam"),
]


@pytest.fixture(scope="module")
def world():
    """The catalogue, and small data: points, one point, and images with all that a model may want."""
    catalogue = discover()
    load = lambda name, **options: create(catalogue.get("dataset", name).cls, options).load(None)  # noqa: E731

    def images(*shape):
        return torch.rand(shape, generator=stream("cpu", 0, "images", *shape)) * 2 - 1

    def pictures(channels, classes):
        return Data(
            train=images(24, channels, 16, 16),
            test=images(2, channels, 16, 16),
            train_labels=torch.arange(24) % classes,
            test_labels=torch.arange(2),
            classes=classes,
            maps=torch.randint(3, (24, 16, 16), generator=stream("cpu", 0, "maps")).byte(),
            test_maps=torch.zeros(2, 16, 16, dtype=torch.uint8),
            map_classes=3,
            source=images(20, channels, 16, 16) / 2,
            test_source=images(2, channels, 16, 16) / 2,
        )

    data = {
        "points": load("ring", size=500),
        "point": load("point"),
        "images": pictures(1, 4),
        "stacks": pictures(3, 1000),
    }
    return catalogue, data


HOME = {"mlp-gan": "points", "pacgan-net": "points", "dirac-gan": "point"} | {
    name: "stacks" for name in MODELS if name.startswith("stacked")
}
"""Which data a model is tried on: images where it is not named here."""


def program(world, model, loss, names=(), batch=8, **changes):
    catalogue, data = world
    options = {name: dict(table) for name, table in SMALL.items()}
    if model in options:
        known = set(MODELS[model].__dataclass_fields__)
        options[model] = {name: value for name, value in options[model].items() if name in known}
    options |= changes.pop("options", {})
    players = tuple(create(MODELS[model], options.get(model, {})).players())
    defaults = {"options": options, "players": players, "optimizer": ADAM, "batch": batch}
    own = data[HOME.get(model, "images")]
    return Program(variant(model, loss, names, **(defaults | changes)), catalogue, own), own


def train(trainer, steps):
    rows = []
    while steps:
        now = min(steps, CHUNK - trainer.step % CHUNK)
        rows.append(trainer.advance(now))
        steps -= now
    return torch.cat(rows)


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def check_solo_is_stacked(world, model, loss, names, steps, **changes):
    made, data = program(world, model, loss, names, **changes)
    runs = Runs((0, 1), ({}, {}))
    looped, mapped = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    rows, mapped_rows = train(looped, steps), train(mapped, steps)
    close(looped.state(), mapped.state())
    close(rows, mapped_rows)
    assert looped.died() == [0, 0]
    start = made.initial(0, {}).joint
    assert all((flat[0] - start[player]).norm() > 1e-7 for player, flat in looped.state().joint.items())


def plain_loss(model):
    """The loss of a model's recipe, or the plainest of its family."""
    plain = {"adversarial": "non-saturating", "variational": "elbo"}
    return MODELS[model].recipe.get("loss", plain[MODELS[model].family])


# -- every loss


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(world, loss):
    model = "mlp-gan" if LOSSES[loss].family == "adversarial" else "mlp-vae"
    check_solo_is_stacked(world, model, loss, (), steps=200)


# -- every model, with what it was published with


@pytest.mark.parametrize("model", MODELS)
def test_every_model(world, model):
    recipe = tuple(MODELS[model].recipe.get("techniques", ()))
    steps = 100 if HOME.get(model) in ("points", "point") else 3
    # sgd: some biases have a true gradient of 0, whose rounding Adam would blow up to whole steps
    check_solo_is_stacked(world, model, plain_loss(model), recipe, steps, optimizer=SGD)


# -- every technique, where it fits


def homes(technique):
    """Models that a technique is tried on: the smallest that it fits."""
    return [
        model
        for model in ("mlp-gan", "mlp-vae", "dcgan")
        if TECHNIQUES[technique]().fits(MODELS[model](), LOSSES[plain_loss(model)]()) is None
    ]


def first_home(world, technique):
    """(model, its data) on which the technique can be used; it may want images."""
    names = (*TECHNIQUES[technique].requires, technique)
    for model in homes(technique):
        try:
            program(world, model, plain_loss(model), names)[0].draws()
        except BadInput:
            continue
        return model, names
    raise AssertionError(f"{technique} fits no model here")


@pytest.mark.parametrize(
    ("technique", "steps"),
    [pytest.param(name, 200, marks=pytest.mark.slow) for name in TECHNIQUES]
    + [(name, CHUNK + 6) for name in TECHNIQUES if name not in COSTLY],
)
def test_every_technique(world, technique, steps):
    model, names = first_home(world, technique)
    check_solo_is_stacked(world, model, plain_loss(model), names, 5 if model == "dcgan" else steps)


@pytest.mark.parametrize("steps", [CHUNK + 6, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_some_together(world, names, steps):
    check_solo_is_stacked(world, "mlp-gan", "non-saturating", names, steps)


FAINT = {"minibatch-discrimination"}
"""Some of their gradients are as small as rounding errors, which Adam blows up to whole steps."""


@pytest.mark.slow
@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].family == "adversarial"])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_with_every_loss(world, technique, loss):
    names = (*TECHNIQUES[technique].requires, technique)
    if any(TECHNIQUES[name]().fits(MODELS["mlp-gan"](), LOSSES[loss]()) for name in names):
        pytest.skip("they do not fit")
    try:
        program(world, "mlp-gan", loss, names)[0].draws()
    except BadInput:
        pytest.skip("it wants images")
    optimizer = SGD | {"lr": 1e-4} if technique in FAINT else ADAM
    check_solo_is_stacked(world, "mlp-gan", loss, names, steps=100, optimizer=optimizer)


# -- swept values

OPTIMIZER_SWEEPS = [
    ("optimizer.generator.lr", (1e-4, 2e-3)),
    ("optimizer.discriminator.lr", (1e-4, 2e-3)),
    ("optimizer.discriminator.betas.0", (0.0, 0.9)),
]
VALUES = {
    "weight-clipping.limit": (0.05, 0.5),
    "ema.decay": (0.5, 0.99),
    "gradient-clipping.max_norm": (0.01, 0.2),
    "wgan-gp.target": (0.0, 1.0),
    "orthogonal-regularisation.beta": (0.1, 1.0),
    "consensus.gamma": (0.1, 10.0),
    "symplectic.strength": (0.0, 1.0),
    "symplectic.epsilon": (0.0, 10.0),
    "extragradient.step": (0.01, 1.0),
    "unrolled.lr": (1e-3, 0.1),
    "conjugate-gradient.bound": (0.1, 0.5),
    "lookahead.alpha": (0.2, 0.8),
    "schedule.warmup": (0.1, 0.5),
    "schedule.hold": (0.0, 0.8),
    "schedule.final": (0.0, 0.9),
}
"""Pairs of values of options, where a half and the whole of the default would not do."""


def swept_options():
    """(path, two values, technique) of every option of a technique that may be swept."""
    for name, cls in TECHNIQUES.items():
        for option in sorted(sweepable(cls)):
            default = getattr(cls(), option)
            yield (
                f"{name}.{option}",
                VALUES.get(f"{name}.{option}", (default / 2 or 0.25, default or 0.5)),
                name,
            )


CRITICS = ("symplectic.epsilon", "schedule.hold", "one-sided-gp.weight")
"""Where the logistic loss shows no difference."""
FAST = {"one-sided-gp.weight": {"optimizer": ADAM | {"lr": 0.02}}}
"""Where slopes must grow first."""
SWEEPS = [*((path, values, "") for path, values in OPTIMIZER_SWEEPS), *swept_options()]


@pytest.mark.parametrize(
    ("path", "values", "technique"),
    [
        pytest.param(*sweep, id=sweep[0], marks=pytest.mark.slow if sweep[2] in COSTLY else [])
        for sweep in SWEEPS
    ],
)
def test_a_swept_value_is_that_option(world, path, values, technique):
    model, names = first_home(world, technique) if technique else ("mlp-gan", ())
    steps = 3 if model == "dcgan" else 60
    loss = "wasserstein" if path in CRITICS else plain_loss(model)
    changes = FAST.get(path, {})
    made, data = program(world, model, loss, names, **changes)
    swept = Mapped(made, Runs((3, 3), tuple({path: value} for value in values)), data, CPU, Eager())
    rows = train(swept, steps)
    for run, value in enumerate(values):
        one, _ = with_value(world, model, loss, names, path, value, **changes)
        alone = Looped(one, Runs((3,), ({},)), data, CPU)
        close(train(alone, steps)[:, 0], rows[:, run])
        close(unstacked(alone.state(), 0), unstacked(swept.state(), run))
    first, second = (pytree.tree_leaves(unstacked(swept.state(), run)) for run in (0, 1))
    assert max((a - b).abs().max() for a, b in zip(first, second, strict=True) if a.numel()) > 1e-6


def with_value(world, model, loss, names, path, value, **changes):
    """The program whose plain option is the value."""
    owner, *rest = path.split(".")
    if owner != "optimizer":
        return program(world, model, loss, names, options={owner: {rest[0]: value}}, **changes)
    player, option, *entry = rest
    tables = {who: dict(ADAM) for who in ("generator", "discriminator")}
    tables[player][option] = [value, 0.999] if entry else value
    return program(world, model, loss, names, optimizer=tables)
