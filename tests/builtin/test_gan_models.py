"""GANs with convolutions, labels and published networks: against tables and formulas written out by hand.

Layer sizes of the PacGAN, stacked and spectral normalisation networks are those of their authors' code.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import Data, DataSpec
from ganbench.components.kinds import Evaluation
from ganbench.engine.program import Program
from ganbench.engine.sampling import Sampler
from ganbench.engine.trainers import Looped, Mapped, Runs, unstacked
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import CHUNK, draw, isolated_rng, stream
from ganbench.game.nets import Nets, named_buffers, purified
from ganbench.game.step import ALONE, train_step
from ganbench.suites.load import load_suite
from ganbench_builtin.metrics.label_agreement import LabelAgreement
from ganbench_builtin.models.acgan import ACGAN
from ganbench_builtin.models.cgan import CGAN
from ganbench_builtin.models.dcgan import DCGAN
from ganbench_builtin.models.pacgan_net import LinearMaxout, PacGANNet
from ganbench_builtin.models.projection_gan import ProjectionGAN
from ganbench_builtin.models.sngan import SNGAN
from ganbench_builtin.models.stacked_dcgan import StackedDCGAN
from ganbench_builtin.models.stacked_dcgan_small import StackedDCGANSmall
from ganbench_builtin.models.wgan import WGAN
from ganbench_builtin.techniques.packing import Packing

CPU, DOUBLE = torch.device("cpu"), torch.float64
POINTS, DIGITS, STACKS = DataSpec((2,)), DataSpec((1, 8, 8), 10), DataSpec((3, 28, 28), 1000)
COLOURS = DataSpec((3, 32, 32), 10)
CONDITIONAL = (CGAN, ProjectionGAN, ACGAN)


def uniform(*shape, seed=0):
    """In [-1, 1)."""
    return torch.rand(shape, generator=stream("cpu", seed), dtype=DOUBLE) * 2 - 1


def built(model, spec, training=True):
    with isolated_rng(0, "test"):
        nets = {name: purified(net).to(DOUBLE) for name, net in model.networks(spec).items()}
    return {name: net.train(training) for name, net in nets.items()}


def nets_of(modules):
    parameters = {name: dict(net.named_parameters()) for name, net in modules.items()}
    return Nets(modules, parameters, named_buffers(modules))


def batch_of(model, spec, n=6):
    batch = draw(model.draws(spec, n), 1, "batch", DOUBLE) | {"data": uniform(n, *spec.shape)}
    return batch | ({"labels": torch.arange(n) % spec.classes} if spec.classes else {})


# -- how many numbers there are to train, layer by layer


def linear(before, after, bias=True):
    return before * after + bias * after


def conv(before, after, kernel, bias=True):
    return before * after * kernel**2 + bias * after


def norm(channels):
    return 2 * channels


RISING = 2 * norm(256) + 2 * conv(256, 256, 3) + conv(256, 256, 1)
LEVEL = 2 * conv(128, 128, 3)
FIRST = conv(3, 128, 3) + conv(128, 128, 3) + conv(3, 128, 1)
TABLES = {
    "dcgan 64, as in figure 1 of its paper": (
        DCGAN(width=128),
        DataSpec((3, 64, 64)),
        [
            *(linear(100, 1024 * 16, False), norm(1024), conv(1024, 512, 4, False), norm(512)),
            *(conv(512, 256, 4, False), norm(256), conv(256, 128, 4, False), norm(128), conv(128, 3, 4)),
        ],
        [conv(3, 128, 4), conv(128, 256, 4), conv(256, 512, 4), conv(512, 1024, 4), linear(1024 * 16, 1)],
    ),
    "dcgan 16": (
        DCGAN(),
        DataSpec((1, 16, 16)),
        [linear(100, 128 * 16, False), norm(128), conv(128, 64, 4, False), norm(64), conv(64, 1, 4)],
        [conv(1, 64, 4), conv(64, 128, 4), linear(128 * 16, 1)],
    ),
    "wgan of points": (
        WGAN(),
        POINTS,
        [linear(100, 512), 3 * linear(512, 512), linear(512, 2)],
        [linear(2, 512), 3 * linear(512, 512), linear(512, 1)],
    ),
    "wgan 64": (
        WGAN(),
        DataSpec((3, 64, 64)),
        [
            *(linear(100, 512 * 16, False), norm(512), conv(512, 256, 4, False), norm(256)),
            *(conv(256, 128, 4, False), norm(128), conv(128, 64, 4, False), norm(64), conv(64, 3, 4)),
        ],
        [
            *(conv(3, 64, 4), conv(64, 128, 4, False), norm(128), conv(128, 256, 4, False), norm(256)),
            *(conv(256, 512, 4, False), norm(512), linear(512 * 16, 1)),
        ],
    ),
    "sngan": (
        SNGAN(),
        COLOURS,
        [linear(128, 256 * 16), 3 * RISING, norm(256), conv(256, 3, 3)],
        [FIRST, LEVEL + conv(128, 128, 1), 2 * LEVEL, linear(128, 1, False)],
    ),
    "cgan": (
        CGAN(),
        DIGITS,
        [linear(16 + 10, 128), linear(128, 128), linear(128, 64)],
        [linear(64 + 10, 128), linear(128, 128), linear(128, 1)],
    ),
    "cgan with planes": (
        CGAN(net="conv"),
        COLOURS,
        [linear(26, 128 * 64, False), norm(128), conv(128, 64, 4, False), norm(64), conv(64, 3, 4)],
        [conv(3 + 10, 64, 4), conv(64, 128, 4), linear(128 * 64, 1)],
    ),
    "projection-gan": (
        ProjectionGAN(),
        DIGITS,
        [linear(16 + 10, 128), linear(128, 128), linear(128, 64)],
        [linear(64, 128), linear(128, 128), linear(128, 1), 10 * 128],
    ),
    "acgan": (
        ACGAN(),
        DIGITS,
        [linear(16 + 10, 128), linear(128, 128), linear(128, 64)],
        [linear(64, 128), linear(128, 128), linear(128, 1 + 10)],
    ),
    "pacgan-net": (
        PacGANNet(),
        POINTS,
        [linear(2, 400, False), 3 * linear(400, 400, False), 4 * norm(400), linear(400, 2)],
        [linear(2, 5 * 200), 2 * linear(200, 5 * 200), linear(200, 1)],
    ),
    "stacked-dcgan": (
        StackedDCGAN(),
        STACKS,
        [
            *(linear(100, 512 * 4, False), norm(512), conv(512, 256, 5, False), norm(256)),
            *(conv(256, 128, 5, False), norm(128), conv(128, 64, 5, False), norm(64), conv(64, 3, 5)),
        ],
        [
            *(conv(3, 64, 5), conv(64, 128, 5, False), norm(128), conv(128, 256, 5, False), norm(256)),
            *(conv(256, 512, 5, False), norm(512), linear(512 * 4, 1)),
        ],
    ),
    "stacked-dcgan-small": (
        StackedDCGANSmall(),
        STACKS,
        [
            *(linear(256, 64 * 16, False), norm(64), conv(64, 32, 3, False), norm(32)),
            *(conv(32, 16, 3, False), norm(16), conv(16, 8, 3, False), norm(8), conv(8, 3, 3)),
        ],
        [
            *(conv(3, 2, 3, False), norm(2), conv(2, 4, 3, False), norm(4), conv(4, 8, 3, False), norm(8)),
            linear(8 * 16, 1),
        ],
    ),
}


@pytest.mark.parametrize(("model", "spec", "generator", "discriminator"), TABLES.values(), ids=TABLES)
def test_layers_are_those_of_the_table(model, spec, generator, discriminator):
    with torch.device("meta"):
        nets = model.networks(spec)
    for name, table in (("generator", generator), ("discriminator", discriminator)):
        assert sum(p.numel() for p in nets[name].parameters()) == sum(table)


# -- shapes

SIZED = [
    *((DCGAN(width=2), size) for size in (16, 28, 32, 64)),
    *((WGAN(width=2), size) for size in (16, 28, 32, 64)),
    *((SNGAN(2, 2), size) for size in (16, 28, 32)),
    *((CGAN(net="conv", width=2), size) for size in (16, 64)),
    *((ProjectionGAN(net="conv", width=2), size) for size in (28, 64)),
    *((ACGAN(net="conv", width=2), size) for size in (32, 64)),
    *((StackedDCGAN(width=2), size) for size in (8, 16, 28, 32)),
    *((StackedDCGANSmall(width=4), size) for size in (8, 16, 28, 32)),
]


@pytest.mark.parametrize(("model", "size"), SIZED, ids=lambda value: getattr(value, "name", str(value)))
def test_images_of_every_size(model, size):
    spec = DataSpec((3, size, size), classes=4)
    modules, batch = built(model, spec), batch_of(model, spec, 3)
    nets = model.conditioned(nets_of(modules), batch)
    out = model.play("discriminator", nets, batch)
    assert out["fake"].shape == (3, 3, size, size)
    assert out["fake"].abs().max() <= 1
    assert out["real_logits"].shape == out["fake_logits"].shape == (3, 1)
    assert out["real_logits"].std() > 0


@pytest.mark.parametrize(
    ("model", "spec", "generator", "discriminator"),
    [
        (DCGAN(width=2), DataSpec((3, 64, 64)), [8, 16, 32, 64], [32, 16, 8, 4]),
        (StackedDCGAN(width=2), STACKS, [4, 7, 14, 28], [14, 7, 4, 2]),
        (StackedDCGANSmall(), STACKS, [7, 14, 28, 28], [14, 7, 4]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_sides_from_layer_to_layer(model, spec, generator, discriminator):
    modules = built(model, spec)
    for x, net, sides in (
        (uniform(2, model.latent), modules["generator"], generator),
        (uniform(2, *spec.shape), modules["discriminator"], discriminator),
    ):
        found = []
        for layer in net:
            x = layer(x)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                found.append(x.shape[-1])
        assert found == sides


REFUSED = [
    (DCGAN(), DIGITS, "dcgan draws images of 16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
    (SNGAN(), DataSpec((3, 64, 64)), "sngan draws images of 16 x 16, 28 x 28 or 32 x 32"),
    (WGAN(), DataSpec((3, 20, 20)), "wgan draws images of"),
    (CGAN(net="conv"), DIGITS, "cgan with net = 'conv' draws images of"),
    (ACGAN(net="conv"), DataSpec((2,), 3), "acgan with net = 'conv' draws images of"),
    (PacGANNet(), DIGITS, "pacgan-net draws points"),
    (StackedDCGAN(), DataSpec((3, 64, 64)), "stacked-dcgan draws images of"),
    *((model(), DataSpec((1, 8, 8), classes), "labels") for model in CONDITIONAL for classes in (0, 1)),
]


@pytest.mark.parametrize(("model", "spec", "words"), REFUSED)
def test_data_that_do_not_fit_get_one_sentence(model, spec, words):
    with pytest.raises(BadInput, match=words) as caught:
        model.networks(spec)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("model", CONDITIONAL)
def test_conditional_networks_may_be_linear(model):
    modules = built(model(hidden=()), DIGITS)
    assert sum(p.numel() for p in modules["generator"].parameters()) == linear(26, 64)


# -- networks against independent ones


@pytest.mark.parametrize("size", [28, 32])
def test_dcgan_draws_the_weights_it_always_drew(size):
    """Both networks are made before either is initialised."""
    spec, base = DataSpec((3, size, size)), size // 4
    with isolated_rng(0, "weights"):
        found = DCGAN(width=4, latent=5).networks(spec)
    with isolated_rng(0, "weights"):
        generator = [nn.Linear(5, 8 * base**2, bias=False), nn.BatchNorm2d(8)]
        generator += [nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4)]
        generator += [nn.ConvTranspose2d(4, 3, 4, 2, 1)]
        discriminator = [nn.Conv2d(3, 4, 4, 2, 1), nn.Conv2d(4, 8, 4, 2, 1), nn.Linear(8 * base**2, 1)]
        for layer in generator + discriminator:
            is_norm = isinstance(layer, nn.BatchNorm2d)
            nn.init.normal_(layer.weight, 1.0 if is_norm else 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for name, layers in (("generator", generator), ("discriminator", discriminator)):
        expected = [parameter for layer in layers for parameter in layer.parameters()]
        for a, b in zip(found[name].parameters(), expected, strict=True):
            assert torch.equal(a, b)


def test_sngan_is_the_residual_net_of_its_table():
    """Written anew with functions; shortcuts are pooled before their convolution, as in the authors' code."""
    modules = built(SNGAN(width=4, discriminator_width=4, latent=3), COLOURS, training=False)
    for net in modules.values():
        for index, parameter in enumerate(net.parameters()):
            parameter.data = uniform(*parameter.shape, seed=index)
    z, x = uniform(2, 3), uniform(2, 3, 32, 32)

    weights = iter(list(modules["discriminator"].parameters()))
    take = lambda count: [next(weights) for _ in range(count)]  # noqa: E731
    h = x
    for first, halve in ((True, True), (False, True), (False, False), (False, False)):
        w1, b1, w2, b2 = take(4)
        inside = F.conv2d(h if first else h.relu(), w1, b1, padding=1)
        inside = F.conv2d(inside.relu(), w2, b2, padding=1)
        if halve:
            inside, h = F.avg_pool2d(inside, 2), F.conv2d(F.avg_pool2d(h, 2), *take(2))
        h = h + inside
    torch.testing.assert_close(modules["discriminator"](x), h.relu().sum((2, 3)) @ next(weights).T)

    weights = iter(list(modules["generator"].parameters()))
    scale = (1 + 1e-5) ** -0.5  # statistics are those of the beginning: mean 0, variance 1
    affine = lambda h, w, b: (h * scale * w[:, None, None] + b[:, None, None]).relu()  # noqa: E731
    large = lambda h: F.interpolate(h, scale_factor=2, mode="nearest")  # noqa: E731
    h = F.linear(z, *take(2)).view(2, 4, 4, 4)
    for _ in range(3):
        norms, (w1, b1, w2, b2), shortcut = take(4), take(4), take(2)
        inside = F.conv2d(large(affine(h, *norms[:2])), w1, b1, padding=1)
        inside = F.conv2d(affine(inside, *norms[2:]), w2, b2, padding=1)
        h = inside + large(F.conv2d(h, *shortcut))
    expected = F.conv2d(affine(h, *take(2)), *take(2), padding=1).tanh()
    torch.testing.assert_close(modules["generator"](z), expected)


def test_sngan_weights_have_glorots_variance():
    modules = built(SNGAN(width=32, discriminator_width=32), COLOURS)
    for net in modules.values():
        for path, layer in net.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                pixels = layer.weight[0, 0].numel() if layer.weight.ndim == 4 else 1
                gain = 2 if ".convs." in path else 1  # squared
                variance = gain * 2 / (pixels * sum(layer.weight.shape[:2]))
                noise = 4 * layer.weight.numel() ** -0.5  # of an estimate of the variance, generously
                assert layer.weight.square().mean().item() == pytest.approx(variance, rel=noise)
                assert layer.bias is None or not layer.bias.any()


def test_maxout_is_numpys():
    layer, x = LinearMaxout(3, 4, 5).to(DOUBLE), uniform(7, 3)
    weight, bias = (tensor.detach().numpy() for tensor in (layer.linear.weight, layer.linear.bias))
    expected = np.stack(
        [
            np.max([x.numpy() @ weight[5 * unit + k] + bias[5 * unit + k] for k in range(5)], axis=0)
            for unit in range(4)
        ],
        axis=1,
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)


def test_pacgan_weights_are_small():
    modules = built(PacGANNet(), POINTS)
    for net in modules.values():
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                assert layer.bias is None or not layer.bias.any()
                if layer.weight.numel() > 10_000:
                    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_noise_of_the_veegan_setting_is_uniform():
    model = StackedDCGAN(latent=50)
    assert model.draws(STACKS, 8)["noise"].distribution == "uniform"
    assert model.sample_draws(STACKS, 8)["noise"].shape == (8, 50)
    assert model.networks(STACKS)["generator"][0](torch.tensor([0.0, 0.25, 1.0])).tolist() == [-1, -0.5, 1]


def test_critics_norm_is_an_option():
    spec = DataSpec((3, 32, 32))
    norms = lambda model: sum(isinstance(m, nn.BatchNorm2d) for m in model.networks(spec)["discriminator"])  # noqa: E731
    assert norms(WGAN(width=2)) == 1
    assert norms(WGAN(width=2, norm=False)) == norms(DCGAN(width=2)) == 0


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize(
    ("model", "spec"),
    [(PacGANNet(), POINTS), (StackedDCGAN(width=2), STACKS), (StackedDCGANSmall(), STACKS)],
    ids=lambda value: getattr(value, "name", None),
)
def test_packs_widen_the_discriminators_first_layer_alone(model, spec, m):
    nets = Packing(m=m).networks(model.networks, spec)
    plain = model.networks(spec)
    shapes = {name: [tuple(p.shape) for p in net.parameters()] for name, net in nets.items()}
    (first, *rest), (plain_first, *plain_rest) = (
        shapes["discriminator"],
        [tuple(p.shape) for p in plain["discriminator"].parameters()],
    )
    assert first == (plain_first[0], m * plain_first[1], *plain_first[2:])
    assert rest == plain_rest
    assert shapes["generator"] == [tuple(p.shape) for p in plain["generator"].parameters()]
    assert nets["discriminator"](torch.zeros(12, *spec.shape)).shape == (12 // m, 1)


# -- turns, and who moves


def test_turns():
    discriminator, generator = ("discriminator",), ("generator",)
    assert WGAN().turns() == SNGAN().turns() == (discriminator,) * 5 + (generator,)
    assert StackedDCGAN().turns() == (discriminator, generator, generator)
    assert StackedDCGANSmall().turns() == PacGANNet(alternating=True).turns() == (discriminator, generator)
    assert [set(turn) for turn in PacGANNet().turns()] == [{"discriminator", "generator"}]
    assert CGAN(discriminator_turns=2).turns() == (discriminator, discriminator, generator)


@pytest.fixture(scope="module")
def worlds():
    labels = torch.arange(24) % 4
    images, tests = uniform(24, 3, 16, 16), uniform(4, 3, 16, 16, seed=1)
    points = Data(train=uniform(24, 2), test=uniform(4, 2), train_labels=labels, test_labels=labels[:4])
    return {
        "points": Data(**vars(points) | {"classes": 4}),
        "images": Data(train=images, test=tests, train_labels=labels, test_labels=labels[:4], classes=4),
    }


SMALL = {
    "dcgan": ("images", {"width": 2, "latent": 3}),
    "wgan on points": ("points", {"hidden": [5, 4], "latent": 3}),
    "wgan without norm": ("images", {"width": 2, "latent": 3, "norm": False}),
    "sngan": ("images", {"width": 3, "discriminator_width": 3, "latent": 3}),
    "cgan on points": ("points", {"hidden": [5], "latent": 3}),
    "cgan of planes": ("images", {"net": "conv", "width": 2, "latent": 3}),
    "projection-gan of convolutions": ("images", {"net": "conv", "width": 2, "latent": 3}),
    "acgan of convolutions": ("images", {"net": "conv", "width": 2, "latent": 3}),
    "pacgan-net": ("points", {"generator_hidden": [6, 5], "discriminator_hidden": [5, 4], "pieces": 2}),
    "pacgan-net by turns": (
        "points",
        {"generator_hidden": [6, 5], "discriminator_hidden": [5, 4], "pieces": 2, "alternating": True},
    ),
    "stacked-dcgan": ("images", {"width": 2, "latent": 3}),
    "stacked-dcgan-small": ("images", {"width": 4, "shrink": 2, "latent": 3}),
}
each = pytest.mark.parametrize("case", SMALL)


def program(builtins, worlds, case, techniques=(), options=None, batch=6):
    home, own = SMALL[case]
    name = case.split()[0]
    chosen = {name: own} | (options or {})
    sgd = {"name": "sgd", "lr": 0.05}
    config = variant(name, "non-saturating", techniques, options=chosen, optimizer=sgd, batch=batch)
    return Program(config, builtins, worlds[home]), worlds[home]


@each
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_gradient_reaches_the_mover_alone_and_all_of_it(builtins, worlds, case, player):
    made, _ = program(builtins, worlds, case)
    state, batch = made.initial(0, {}), batch_of(made.model, made.spec)
    turns = ((player,),)
    step = train_step(turns, made.plain_field({}), made.rule({}), ALONE, made.extras)
    after, _ = step(state, [batch], 1)
    for other, flat in state.joint.items():
        assert torch.equal(after.joint[other], flat) == (other != player)
    moved = made.layout.views(player, after.joint[player] - state.joint[player])
    for slot, change in zip(made.layout.slots[player], moved, strict=True):
        # a constant of a channel in a generator's block: the batch norms that follow take it away
        cancelled = slot.net == "generator" and bool(re.search(r"(convs\.\d|shortcut)\.bias$", slot.name))
        assert change.abs().max() > 1e-12 or cancelled, slot.name


def test_pacgans_players_move_at_once(builtins, worlds):
    """One step is a step of both along gradients at the same point, on the same noise."""
    made, _ = program(builtins, worlds, "pacgan-net")
    state, batch = made.initial(0, {}), batch_of(made.model, made.spec)
    after, _ = made.step_alone({}, ALONE, "cpu")(state, [batch], 1)
    modules = built(made.model, made.spec)
    for player, flat in state.joint.items():
        for parameter, view in zip(
            modules[player].parameters(), made.layout.views(player, flat), strict=True
        ):
            parameter.data = view.clone()
    judge, fake = modules["discriminator"], modules["generator"](batch["noise"])
    losses = {
        "discriminator": F.softplus(-judge(batch["data"])).mean() + F.softplus(judge(fake)).mean(),
        "generator": F.softplus(-judge(fake)).mean(),
    }
    for player, loss in losses.items():
        parameters = list(modules[player].parameters())
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        for found, parameter, gradient in zip(
            made.layout.views(player, after.joint[player]), parameters, gradients, strict=True
        ):
            torch.testing.assert_close(found, parameter - 0.05 * gradient, rtol=1e-12, atol=1e-14)


def check_solo_is_stacked(made, data, steps=3):
    runs = Runs((0, 1), ({}, {}))
    looped, mapped = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    start = made.initial(0, {}).joint
    for a, b in ((looped.advance(steps), mapped.advance(steps)), (looped.state(), mapped.state())):
        for one, other in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, equal_nan=True)
    assert looped.died() == [0, 0]
    assert all((flat[0] - start[player]).norm() > 1e-7 for player, flat in looped.state().joint.items())


@each
def test_alone_is_stacked(builtins, worlds, case):
    check_solo_is_stacked(*program(builtins, worlds, case))


@pytest.mark.parametrize("case", ["pacgan-net", "stacked-dcgan", "stacked-dcgan-small"])
def test_alone_is_stacked_in_packs(builtins, worlds, case):
    """Four packs: a batch norm of two numbers, one pixel each of two packs, blows rounding up to 1e-9."""
    options = {"packing": {"m": 3}}
    check_solo_is_stacked(*program(builtins, worlds, case, ("packing",), options, batch=12))


# -- labels


@pytest.mark.parametrize("model", [*(m(latent=3) for m in CONDITIONAL), CGAN(net="conv", width=2)])
def test_labels_tell(model):
    """Generators draw another sample for another label; discriminators that are told judge otherwise."""
    spec = DIGITS if model.net == "mlp" else COLOURS
    modules = built(model, spec, training=False)
    batch = batch_of(model, spec, 10)
    other = batch | {"labels": batch["labels"].roll(1)}
    samples, others = (model.sample(nets_of(modules), each) for each in (batch, other))
    assert (samples - others).flatten(1).abs().max(1).values.min() > 1e-6
    logits, otherwise = (
        model.conditioned(nets_of(modules), each)["discriminator"](batch["data"]) for each in (batch, other)
    )
    assert logits.shape == (10, 1)
    if isinstance(model, ACGAN):
        assert torch.equal(logits, otherwise)
    else:
        assert (logits - otherwise).abs().min() > 1e-6


def test_cgan_sees_the_label_beside_the_sample():
    modules, x, labels = built(CGAN(hidden=()), DIGITS), uniform(4, 1, 8, 8), torch.tensor([3, 0, 9, 3])
    weight, bias = (parameter.detach().numpy() for parameter in modules["discriminator"].parameters())
    seen = np.concatenate([x.flatten(1).numpy(), np.eye(10)[labels]], axis=1)
    found = modules["discriminator"](x, labels).detach().numpy()
    np.testing.assert_allclose(found, seen @ weight.T + bias, rtol=1e-12)


def test_projection_is_the_formula():
    """psi(phi(x)) + <v_y, phi(x)>, equation 3 of the paper, with phi read off the body."""
    net = built(ProjectionGAN(hidden=(7,)), DIGITS)["discriminator"]
    x, labels = uniform(4, 1, 8, 8), torch.tensor([3, 0, 9, 3])
    phi = net.body(x).detach().numpy()
    vectors, psi, bias = (
        parameter.detach().numpy()
        for parameter in (net.embedding.weight.T, net.linear.weight, net.linear.bias)
    )
    expected = [psi[0] @ phi[i] + bias[0] + vectors[label] @ phi[i] for i, label in enumerate(labels)]
    np.testing.assert_allclose(net(x, labels).detach().numpy()[:, 0], expected, rtol=1e-12)


def cross_entropy(logits, labels):
    """In numpy, by its definition."""
    logits = logits.detach().numpy()
    return np.mean(
        [np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)]
    )


@pytest.mark.parametrize("pairs", [False, True])
def test_acgans_terms_are_the_cross_entropies_of_labels(pairs):
    model = ACGAN(hidden=(7,), class_weight=0.3)
    object.__setattr__(model, "pairs", pairs)
    modules, batch = built(model, DIGITS), batch_of(model, DIGITS)
    labels = batch["labels"]
    fake = modules["discriminator"](modules["generator"](batch["noise"], labels))
    real = modules["discriminator"](batch["data"])
    assert torch.allclose(
        F.cross_entropy(fake[:, 1:], labels).detach(), torch.tensor(cross_entropy(fake[:, 1:], labels))
    )
    of_fake, of_real = (0.3 * cross_entropy(both[:, 1:], labels) for both in (fake, real))
    for player, expected in (("discriminator", of_fake + of_real), ("generator", of_fake)):
        out = model.play(player, model.conditioned(nets_of(modules), batch), batch)
        assert model.terms(player, out).item() == pytest.approx(expected, rel=1e-12)
        assert torch.equal(out["fake_logits"], fake[:, :1])
        if player == "discriminator" or pairs:
            assert torch.equal(out["real_logits"], real[:, :1])


def test_a_conditional_gan_learns_its_labels(builtins):
    """Samples are nearer to the mean of their own class than to any other's; of real digits 91% are."""
    data = create(builtins.get("dataset", "digits").cls, {}).load(None)
    adam = {"name": "adam", "lr": 3e-3, "betas": [0.5, 0.999]}
    options = {"cgan": {"hidden": [64]}}
    config = variant("cgan", "non-saturating", (), options, adam, batch=32, precision="float32")
    made = Program(config, builtins, data)
    means = torch.stack([data.train[data.train_labels == k].float().mean(0) for k in range(10)]) / 127.5 - 1
    labels = torch.arange(500) % 10
    noise = draw(made.model.sample_draws(made.spec, 500), 0, "samples", torch.float32)

    def agreement(trainer):
        state = unstacked(trainer.state(), 0)
        samples = Sampler(made).sample(state.joint, state.buffers, noise | {"labels": labels})
        found = torch.cdist(samples.flatten(1), means.flatten(1)).argmin(1)
        return (found == labels).double().mean()

    trainer = Looped(made, Runs((0,), ({},)), data, CPU)
    assert agreement(trainer) < 0.2
    for _ in range(1280 // CHUNK):
        trainer.advance(CHUNK)
    assert agreement(trainer) > 0.8


# -- recipes

PUBLISHED = {
    "wgan": ("wasserstein", ["weight-clipping"], 64, {"name": "rmsprop", "lr": 5e-5}, {}),
    "sngan": ("hinge", ["spectral-norm"], 64, {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9]}, {}),
    "pacgan-net": ("non-saturating", [], 100, {"name": "adam", "lr": 1e-4, "betas": [0.8, 0.999]}, {}),
    "stacked-dcgan": ("non-saturating", [], 64, {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}, {}),
    "stacked-dcgan-small": (
        "non-saturating",
        [],
        128,
        {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.99]},
        {"lr": 2e-4},
    ),
}
"""loss, techniques, batch, optimiser, what the discriminator's has of its own; as published."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_suite_that_names_the_model_alone_takes_its_recipe(builtins, tmp_path, model):
    dataset = "ring" if model in ("wgan", "pacgan-net") else "digits"
    path = tmp_path / "suite.toml"
    lines = ["schema = 1", 'name = "recipe"', "[defaults]", f'dataset = "{dataset}"', f'model = "{model}"']
    lines += ["steps = 5"] + (["[options.digits]", "size = 16"] if dataset == "digits" else [])
    path.write_text("\n".join(lines))
    (found,) = load_suite(path, builtins).variants
    assert found.unavailable is None
    loss, techniques, batch, optimizer, judge = PUBLISHED[model]
    assert found.config["loss"]["name"] == loss
    assert [technique["name"] for technique in found.config["techniques"]] == techniques
    assert found.config["batch"] == batch
    tables = found.config["optimizer"]
    assert optimizer.items() <= tables["generator"].items()
    assert (optimizer | judge).items() <= tables["discriminator"].items()
    Program(
        found.config,
        builtins,
        create(builtins.get("dataset", dataset).cls, found.config["dataset"]["options"]).load(None),
    )


# -- label agreement


def seen(samples, labels, classify):
    data = Data(train=samples, test=samples, train_labels=labels, test_labels=labels, classes=10)
    return Evaluation(
        samples=samples,
        data=data,
        real=lambda n: samples[:n],
        features=lambda name, x: x,
        generator=stream("cpu", 0),
        point={},
        given={"labels": labels},
        labels=lambda name, x: {"classifier": classify}[name](x),
    )


def test_label_agreement_counts():
    """The classifier here reads the class off the sample's only number."""
    labels = torch.arange(20) % 10
    read = lambda x: x[:, 0].round().long()  # noqa: E731
    cases = [
        (labels.double(), 1.0),
        (torch.where(torch.arange(20) < 5, labels, (labels + 1) % 10).double(), 0.25),
        (torch.zeros(20), 0.1),  # a model that does not look at labels
        (torch.where(labels == 0, torch.nan, labels.double()), 0.9),  # nan is not taken for a 0
        (torch.full((20,), torch.inf), 0.0),
    ]
    for samples, expected in cases:
        found = LabelAgreement().measure(seen(samples[:, None], labels, read))
        assert found == {"label-agreement": pytest.approx(expected)}


def test_label_agreement_needs_labels():
    metric, points = LabelAgreement(), torch.zeros(3, 2)
    labelled = Data(points, points, torch.zeros(3).long(), torch.zeros(3).long(), classes=2)
    assert metric.extractor_for(labelled) == "classifier"
    assert metric.fits(labelled) is None
    for missing in ("train_labels", "test_labels"):
        assert "labels" in metric.fits(Data(**vars(labelled) | {missing: None}))
