"""CycleGAN, GauGAN and their metrics against plain loops, closed forms and other libraries."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import scipy.signal
import torch
import torchvision
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from toys import variant

from ganbench.components.data import Data, DataSpec
from ganbench.components.kinds import Evaluation
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import draw, isolated_rng, stream
from ganbench.game.nets import Nets, named_buffers, purified
from ganbench_builtin.losses.least_squares import LeastSquares
from ganbench_builtin.metrics.cycle_error import CycleError
from ganbench_builtin.metrics.map_iou import MapIoU
from ganbench_builtin.metrics.translation_agreement import TranslationAgreement
from ganbench_builtin.models import _perceptual
from ganbench_builtin.models._image_pool import ImagePool
from ganbench_builtin.models._patchgan import MultiScale, patch_layers, patchgan, smallest
from ganbench_builtin.models._resnet_generator import resnet_generator
from ganbench_builtin.models._spade import SPADE, SPADEGenerator, one_hot, style_encoder
from ganbench_builtin.models.cyclegan import CycleGAN
from ganbench_builtin.models.gaugan import GauGAN

CPU = torch.device("cpu")
TINY = {
    "cyclegan": {"width": 2, "blocks": 1, "discriminator_width": 2, "pool": 3},
    "gaugan": {"width": 2, "hidden": 2, "latent": 3, "encoder_width": 2, "discriminator_width": 2},
}


def uniform(*shape, key=0):
    return torch.rand(shape, generator=stream("cpu", key, "test"), dtype=torch.float64)


def images(*shape, key=0):
    return 2 * uniform(*shape, key=key) - 1


def domains(size=8, n=12):
    return Data(
        train=images(n, 1, size, size),
        test=images(4, 1, size, size, key=1),
        source=images(n + 1, 1, size, size, key=2),
        test_source=images(5, 1, size, size, key=3),
    )


def mapped_images(size=16, n=12):
    maps = (4 * uniform(n, size, size, key=4)).to(torch.uint8)
    train = images(n, 1, size, size)
    return Data(train=train, test=train[:4], maps=maps, test_maps=maps[:4], map_classes=4)


WORLDS = {"cyclegan": domains, "gaugan": mapped_images}
LOSSES = {"cyclegan": "least-squares", "gaugan": "hinge"}


def program(builtins, name, techniques=(), data=None, **changes):
    config = variant(name, LOSSES[name], techniques, **({"options": TINY, "batch": 2} | changes))
    return Program(config | {"steps": 3}, builtins, data or WORLDS[name]())


def made(model, spec):
    """Networks in float64, and as a model sees them."""
    with isolated_rng(0, "test"):
        modules = {name: purified(net).double() for name, net in model.networks(spec).items()}
    named = {name: dict(net.named_parameters()) for name, net in modules.items()}
    return modules, Nets(modules, named, named_buffers(modules))


def batch_of(model, data, n=2):
    batch = {"data": data.train[:n], "map": data.maps, "source": data.source}
    rows = {name: table[:n] for name, table in batch.items() if table is not None}
    return rows | draw(model.draws(data.spec, n), 5, "batch", torch.float64)


# -- the image pool


class PlainPool:
    """The published algorithm, image by image."""

    def __init__(self, size):
        self.size, self.images = size, []

    def exchange(self, image, swap, place):
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if swap >= 0.5:
            return image
        index = int(place * self.size)
        self.images[index], old = image, self.images[index]
        return old


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_pool_is_the_plain_pool(size, batch):
    pool, plain = ImagePool(size, (1, 2, 2)).double(), PlainPool(size)
    seen_old = 0
    for turn in range(30):
        fresh = images(batch, 1, 2, 2, key=100 + turn)
        swap, place = uniform(batch, key=200 + turn), uniform(batch, key=300 + turn)
        expected = [plain.exchange(*one) for one in zip(fresh, swap, place, strict=True)]
        given = pool(fresh, swap, place)
        assert torch.equal(given, torch.stack(expected))
        assert torch.equal(pool.images[: len(plain.images)], torch.stack(plain.images))
        assert int(pool.held) == len(plain.images)
        seen_old += int((given != fresh).any())
    assert seen_old > 5


def test_pool_holds_values_and_gives_gradients():
    """What it keeps has no history; what it passes on is what the generator made."""
    pool = ImagePool(2, (1,))
    fresh = torch.ones(3, 1, requires_grad=True)
    given = pool(fresh, torch.tensor([0.0, 0.0, 0.9]), torch.zeros(3))
    assert not pool.images.requires_grad
    (gradient,) = torch.autograd.grad(given.sum(), fresh)
    assert gradient.flatten().tolist() == [1, 1, 1]


def test_only_the_discriminators_turn_moves_the_pools():
    model, data = CycleGAN(**TINY["cyclegan"]), domains()
    _, nets = made(model, data.spec)
    batch = batch_of(model, data)
    start = nets.buffers
    model.play("generator", nets, batch)
    assert nets.buffers is start
    model.play("discriminator", nets, batch)
    expected = nets["generator"](batch["source"]), nets["generator_back"](batch["data"])
    for domain, fake in zip(("target", "source"), expected, strict=True):
        assert int(nets.buffers[f"pool_{domain}"]["held"]) == 2
        torch.testing.assert_close(nets.buffers[f"pool_{domain}"]["images"][:2], fake)
    again = model.play("discriminator", nets, batch | {"source": -batch["source"]})
    assert again["fake_logits"].shape == again["real_logits"].shape == (4, 1, 2, 2)


def test_without_a_pool():
    model, data = CycleGAN(**TINY["cyclegan"] | {"pool": 0}), domains()
    modules, nets = made(model, data.spec)
    assert sorted(modules) == sorted(net for names in model.players().values() for net in names)
    assert model.draws(data.spec, 2) == {}
    out = model.play("discriminator", nets, batch_of(model, data))
    torch.testing.assert_close(out["fake_logits"][:2], modules["discriminator_target"](out["fake"]))


# -- PatchGAN


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(layers, field):
    net = patchgan(1, 1, layers).double()
    for stage in net:
        if isinstance(stage, nn.Sequential):
            del stage[1:]  # norms see everything, kinks may see nothing
    x = images(1, 1, 160, 160).requires_grad_()
    logits = net(x)
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    seen = gradient[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [field, field]


@pytest.mark.parametrize(
    ("size", "layers"), [(8, 1), (28, 1), (64, 1), (65, 2), (128, 2), (256, 3), (512, 3)]
)
def test_patches_grow_with_the_image(size, layers):
    assert patch_layers(size) == layers
    assert size >= smallest(layers)


@pytest.mark.parametrize(("layers", "size"), [(1, 8), (1, 28), (2, 28), (3, 32), (1, 6), (2, 12)])
def test_logits_of_patches(layers, size):
    net = patchgan(3, 2, layers)
    assert net(torch.rand(2, 3, size, size)).shape == (2, 1, *[size // 2**layers - 2] * 2)
    widths = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [2 * 2**stage for stage in range(layers + 1)] + [1]
    assert sum(isinstance(m, nn.InstanceNorm2d) for m in net.modules()) == layers


def test_scales_weigh_the_same():
    net = MultiScale(1, 4, 2, layers=1, scales=2).double()
    x, labels = images(3, 1, 16, 16), mapped_images().maps[:3]
    logits, features = net(x, labels)
    assert logits.shape == (3, 2, 6, 6)
    wanted = F.one_hot(labels.long(), 4).permute(0, 3, 1, 2).double()
    whole = torch.cat([x, wanted], 1)
    padded = F.pad(whole, (1, 1, 1, 1))
    half = sum(padded[:, :, i : i + 16 : 2, j : j + 16 : 2] for i in range(3) for j in range(3))
    inside = F.pad(torch.ones(1, 1, 16, 16), (1, 1, 1, 1))
    counts = sum(inside[:, :, i : i + 16 : 2, j : j + 16 : 2] for i in range(3) for j in range(3))
    means = [scale(part).mean() for scale, part in zip(net.scales, (whole, half / counts), strict=True)]
    torch.testing.assert_close(logits.mean(), torch.stack(means).mean())
    assert [tuple(f.shape[1:]) for f in features] == [(2, 8, 8), (4, 7, 7), (2, 4, 4), (4, 3, 3)]


# -- CycleGAN


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (28, 28), (32, 32)])
def test_generator_keeps_the_size(size):
    net = resnet_generator(3, 2, 1)
    x = torch.rand(2, 3, *size)
    assert net(x).shape == x.shape
    assert net(x).abs().max() <= 1
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert [m.kernel_size[0] for m in convolutions] == [7, 3, 3, 3, 3, 3, 3, 7]
    assert [m.out_channels for m in convolutions] == [2, 4, 8, 8, 8, 4, 2, 3]


@pytest.mark.parametrize(("cycle", "identity"), [(10.0, 0.5), (3.0, 0.0), (0.0, 0.5)])
def test_objectives_are_the_published_ones(cycle, identity):
    model, data = CycleGAN(**TINY["cyclegan"], cycle=cycle, identity=identity), domains()
    modules, nets = made(model, data.spec)
    batch = batch_of(model, data)
    there, back = modules["generator"], modules["generator_back"]
    judge_target, judge_source = modules["discriminator_target"], modules["discriminator_source"]
    x, y = batch["source"], batch["data"]

    def absolute(a, b):
        return (a - b).abs().mean()

    def squared(logits, goal):
        return ((logits - goal) ** 2).mean()

    generators = squared(judge_target(there(x)), 1) + squared(judge_source(back(y)), 1)
    generators = generators + cycle * (absolute(back(there(x)), x) + absolute(there(back(y)), y))
    generators = generators + identity * cycle * (absolute(there(y), y) + absolute(back(x), x))
    out = model.play("generator", nets, batch)
    torch.testing.assert_close(
        4 * (LeastSquares().generator(out) + model.terms("generator", out)), generators
    )

    discriminators = (squared(judge_target(y), 1) + squared(judge_target(there(x)), 0)) / 2
    discriminators = discriminators + (squared(judge_source(x), 1) + squared(judge_source(back(y)), 0)) / 2
    out = model.play("discriminator", nets, batch)
    torch.testing.assert_close(2 * LeastSquares().discriminator(out), discriminators)
    assert model.terms("discriminator", out) is None


def test_translations_start_from_the_source():
    model, data = CycleGAN(**TINY["cyclegan"]), domains()
    modules, nets = made(model, data.spec)
    rows = {"data": data.test, "source": data.test_source}
    assert model.sample_draws(data.spec, 5) == {}
    translated = modules["generator"](data.test_source)
    torch.testing.assert_close(model.sample(nets, rows), translated)
    seen = model.inspect(nets, rows)
    torch.testing.assert_close(seen["translated"], translated)
    torch.testing.assert_close(seen["cycled"], modules["generator_back"](translated))


def test_weights_of_cyclegan_are_small():
    modules, _ = made(CycleGAN(width=16, blocks=1, discriminator_width=32), domains().spec)
    large = [p for net in modules.values() for p in net.parameters() if p.numel() > 4000]
    assert len(large) >= 8
    assert all(abs(p.std() - 0.02) < 0.002 for p in large)


# -- GauGAN


def test_spade_by_hand():
    spade = purified(SPADE(2, 4, 3)).double()
    x, labels = images(3, 2, 4, 4).numpy(), mapped_images(8).maps[:3]
    got = spade(torch.from_numpy(x), one_hot(labels, 4, torch.zeros((), dtype=torch.float64)))

    def convolved(conv, inputs):
        weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
        outputs = [
            [
                sum(
                    scipy.signal.correlate2d(plane, k, mode="same")
                    for plane, k in zip(one, kernel, strict=True)
                )
                for kernel in weight
            ]
            for one in inputs
        ]
        return np.array(outputs) + bias[:, None, None]

    nearest = np.eye(4)[labels[:, ::2, ::2].numpy()].transpose(0, 3, 1, 2)
    modulation = convolved(spade.modulation, np.maximum(convolved(spade.shared, nearest), 0))
    gamma, beta = modulation[:, :2], modulation[:, 2:]
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    expected = (1 + gamma) * (x - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "base", "blocks"),
    [
        ((1, 16, 16), (4, 4), 3),
        ((1, 28, 28), (7, 7), 3),
        ((3, 32, 32), (4, 4), 4),
        ((1, 17, 20), (17, 20), 1),
    ],
)
def test_spade_generator_reaches_the_size(shape, base, blocks):
    net = purified(SPADEGenerator(shape, 4, 3, 2, 2))
    labels = torch.zeros(2, *shape[1:], dtype=torch.uint8)
    drawn = net(torch.randn(2, 3, generator=stream("cpu", 0)), labels)
    assert drawn.shape == (2, *shape)
    assert drawn.abs().max() <= 1
    assert tuple(net.start[1].unflattened_size[1:]) == base
    assert len(net.blocks) == blocks
    assert net.blocks[-1].conv_1.out_channels == 2


@pytest.mark.parametrize(("size", "left"), [(16, 4), (28, 4), (32, 4), (20, 3)])
def test_style_encoder_ends_small(size, left):
    net = style_encoder((1, size, size), 3, 2)
    assert net(torch.rand(2, 1, size, size)).shape == (2, 6)
    assert net[-1].in_features == left * left * net[-4].num_features


def played(model, data, player, wrap=None):
    """Modules, nets and what `play` gives, as the core calls it; `wrap` is a technique's."""
    modules, nets = made(model, data.spec)
    batch = batch_of(model, data)
    nets = model.conditioned(nets, batch)
    if wrap:
        nets = nets.around("discriminator", wrap)
    return modules, batch, model.play(player, nets, batch)


def test_kl_and_style():
    model, data = GauGAN(**TINY["gaugan"]), mapped_images()
    modules, batch, out = played(model, data, "generator")
    mean, log_variance = modules["encoder"](batch["data"]).chunk(2, dim=1)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    torch.testing.assert_close(out["kl"], torch.distributions.kl_divergence(posterior, prior).sum(1))
    style = mean + posterior.stddev * batch["noise"]
    torch.testing.assert_close(out["fake"], modules["generator"](style, batch["map"]))


def test_terms_of_gaugan():
    model, data = GauGAN(**TINY["gaugan"], feature_matching=7.0, kl=0.3), mapped_images()
    modules, batch, out = played(model, data, "generator")
    _, fake = modules["discriminator"](out["fake"], batch["map"])
    _, real = modules["discriminator"](batch["data"], batch["map"])
    error = sum((a - b).abs().mean() for a, b in zip(fake, real, strict=True)) / 2
    expected = 7.0 * error + 0.3 * out["kl"].mean()
    torch.testing.assert_close(model.terms("generator", out), expected)
    assert model.terms("discriminator", out) is None


def test_augmentation_is_for_logits_not_for_feature_matching():
    model, data = GauGAN(**TINY["gaugan"]), mapped_images()
    _, _, plain = played(model, data, "generator")
    _, _, flipped = played(model, data, "generator", lambda call: lambda x: call(x.flip(3)))
    assert not torch.allclose(plain["fake_logits"], flipped["fake_logits"])
    torch.testing.assert_close(plain["feature_error"], flipped["feature_error"])


def test_the_discriminator_sees_the_map():
    model, data = GauGAN(**TINY["gaugan"]), mapped_images()
    modules, batch, out = played(model, data, "discriminator")
    assert set(out) == {"fake", "fake_logits", "real_logits"}
    assert out["real_logits"].shape == (2, 2, 6, 6)
    torch.testing.assert_close(out["real_logits"], modules["discriminator"](batch["data"], batch["map"])[0])
    other, _ = modules["discriminator"](batch["data"], 3 - batch["map"])
    assert not torch.allclose(out["real_logits"], other)


def test_gaugan_draws_for_the_map_it_is_given():
    model, data = GauGAN(**TINY["gaugan"]), mapped_images()
    modules, nets = made(model, data.spec)
    rows = {"data": data.test, "map": data.test_maps}
    drawn = draw(model.sample_draws(data.spec, 4), 1, "samples", torch.float64)
    torch.testing.assert_close(
        model.sample(nets, rows | drawn), modules["generator"](drawn["noise"], data.test_maps)
    )
    seen = model.inspect(nets, rows | drawn)
    mean, log_variance = modules["encoder"](data.test).chunk(2, dim=1)
    torch.testing.assert_close(seen["mean"], mean)
    torch.testing.assert_close(seen["log_variance"], log_variance)
    torch.testing.assert_close(seen["reconstruction"], modules["generator"](mean, data.test_maps))


# -- VGG's distance


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """torchvision's VGG19 with random weights, and the file of them."""
    with isolated_rng(0, "vgg"):
        features = torchvision.models.vgg19(weights=None).features.eval().requires_grad_(False)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save({f"features.{name}": tensor for name, tensor in features.state_dict().items()}, path)
    return features, path


def test_perceptual_distance_is_of_torchvisions_network(vgg, monkeypatch):
    features, path = vgg
    monkeypatch.setattr(_perceptual, "_SHA256_START", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    data = mapped_images()
    model = GauGAN(**TINY["gaugan"], perceptual=10.0, perceptual_weights=str(path), feature_matching=0, kl=0)
    _, batch, out = played(model, data, "generator")
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x, y = (
        ((side.float() + 1) / 2).repeat(1, 3, 1, 1).sub(mean) / std for side in (out["fake"], batch["data"])
    )
    distance = 0.0
    for index, layer in enumerate(features[:30]):
        x, y = layer(x), layer(y)
        if index in (1, 6, 11, 20, 29):
            distance += {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}[index] * (x - y).abs().mean()
    torch.testing.assert_close(out["perceptual_error"].float(), distance, rtol=1e-4, atol=0)
    torch.testing.assert_close(model.terms("generator", out), 10 * out["perceptual_error"])


def test_weights_that_are_others_are_refused(vgg, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes(vgg[1].read_bytes())
    for path, words in ((other, "others"), (tmp_path / "no.pth", "No such file")):
        model = GauGAN(**TINY["gaugan"], perceptual=10.0, perceptual_weights=str(path))
        with pytest.raises(BadInput, match=rf"{words}.*vgg19-dcbb9e9d.pth"):
            model.networks(mapped_images().spec)


# -- what they refuse


SQUARE = (1, 16, 16)


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (CycleGAN(), DataSpec(SQUARE), "source domain"),
        (CycleGAN(), DataSpec((2,), source=(2,)), "multiples of 4"),
        (CycleGAN(), DataSpec((1, 30, 28), source=(1, 30, 28)), "multiples of 4"),
        (CycleGAN(), DataSpec((1, 4, 4), source=(1, 4, 4)), "at least 8"),
        (CycleGAN(), DataSpec(SQUARE, source=(3, 16, 16)), "one shape"),
        (CycleGAN(discriminator_layers=3), DataSpec(SQUARE, source=SQUARE), "24 pixels"),
        (GauGAN(), DataSpec(SQUARE), "label maps"),
        (GauGAN(), DataSpec((2,), map_classes=3), "16 pixels"),
        (GauGAN(), DataSpec((1, 8, 8), map_classes=3), "16 pixels"),
        (GauGAN(discriminator_layers=2), DataSpec(SQUARE, map_classes=3), "24 pixels"),
        (GauGAN(perceptual=1.0), DataSpec((2, 16, 16), map_classes=3), "1 or 3 channels"),
    ],
)
def test_data_that_do_not_fit_get_one_sentence(model, spec, words):
    with pytest.raises(BadInput, match=words) as caught:
        model.networks(spec)
    assert len(caught.value.problems) == 1


# -- in the core


@pytest.mark.parametrize("name", WORLDS)
def test_gradients_are_those_of_the_objective(builtins, name):
    """Along a random direction, by finite differences; nobody else's gradient is taken."""
    made = program(builtins, name)
    state = made.initial(0, {})
    field = made.plain_field({})
    batch = batch_of(made.model, WORLDS[name]())
    for player, vector in state.joint.items():
        flow = field((player,), state.joint, state.buffers, batch)
        assert set(flow.gradients) == {player}
        direction = torch.randn(vector.shape, generator=stream("cpu", 7), dtype=torch.float64)
        small = 1e-8 * direction

        def value(moved, player=player):
            return field((player,), state.joint | {player: moved}, state.buffers, batch).losses[player]

        slope = (value(vector + small) - value(vector - small)) / 2e-8
        torch.testing.assert_close(flow.gradients[player] @ direction, slope, rtol=1e-5, atol=1e-6)
        assert flow.gradients[player].norm() > 1e-3


@pytest.mark.parametrize("name", WORLDS)
def test_every_network_learns(builtins, name):
    made = program(builtins, name)
    trainer = Looped(made, Runs((0,), ({},)), WORLDS[name](), CPU)
    before, _ = trainer.state().joint, trainer.advance(1)
    after = trainer.state().joint
    for player, slots in made.layout.slots.items():
        for net in made.model.players()[player]:
            moved = [
                (after[player] - before[player])[0, s.offset : s.offset + s.numel]
                for s in slots
                if s.net == net
            ]
            assert torch.cat(moved).abs().max() > 1e-3


CASES = [("cyclegan", ()), ("gaugan", ("spectral-norm",)), ("gaugan", ("r1",))]


@pytest.mark.parametrize(("name", "techniques"), CASES)
def test_solo_is_stacked(builtins, name, techniques):
    """By plain descent: SPADE shifts what the next norm takes away, and Adam would amplify that rounding."""
    sgd = {"name": "sgd", "lr": 1e-2}
    made = program(builtins, name, techniques, optimizer=sgd)
    runs, data = Runs((0, 1), ({}, {})), WORLDS[name]()
    looped, stacked = Looped(made, runs, data, CPU), Mapped(made, runs, data, CPU, Eager())
    rows, stacked_rows = looped.advance(3), stacked.advance(3)
    torch.testing.assert_close(rows, stacked_rows, rtol=1e-10, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(looped.state(), stacked.state(), rtol=1e-10, atol=1e-10)
    assert looped.died() == [0, 0]


class Traced(Eager):
    """What a compiler is given: the graph of the whole step."""

    def prepare(self, step, written, read):
        graph = make_fx(step, tracing_mode="fake")(*written, *read)
        return lambda: graph(*written, *read)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_the_whole_step_can_be_traced(builtins, name):
    runs, data = Runs((0, 1), ({}, {})), WORLDS[name]()
    eager, traced = (
        Mapped(program(builtins, name), runs, data, CPU, executor) for executor in (Eager(), Traced())
    )
    torch.testing.assert_close(eager.advance(3), traced.advance(3), equal_nan=True)
    torch.testing.assert_close(eager.state(), traced.state(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("name", "size"), [("cyclegan", 28), ("gaugan", 28), ("cyclegan", 32)])
def test_other_sizes_train(builtins, name, size):
    data = WORLDS[name](size=size, n=4)
    trainer = Looped(program(builtins, name, data=data), Runs((0,), ({},)), data, CPU)
    trainer.advance(2)
    assert trainer.died() == [0]


# -- metrics


def seen(samples, data, **more):
    return Evaluation(samples, data, lambda n: samples[:n], lambda *_: samples, torch.Generator(), {}, **more)


def test_cycle_error():
    data = domains()
    source = images(5, 1, 8, 8)

    def error(cycled):
        return CycleError().measure(
            seen(source, data, inspected=lambda: {"cycled": cycled, "given/source": source})
        )["cycle-error"]

    assert error(source) == 0
    assert error(-source) == pytest.approx(2 * np.abs(source.numpy()).mean())
    assert error(source + 0.25) == pytest.approx(0.25)
    assert math.isnan(error(source * math.inf))


def test_cycle_error_of_a_model_that_does_not_translate():
    with pytest.raises(BadInput, match=r"'cycled'.*cyclegan"):
        CycleError().measure(seen(images(2, 1, 8, 8), domains(), inspected=lambda: {"mean": torch.zeros(2)}))


def test_translation_agreement():
    samples = torch.tensor([[0.0], [1.0], [1.0], [2.0]])

    def classify(extractor, samples):
        assert extractor == "classifier"
        return samples.flatten().long()

    def agreement(samples, labels):
        given = {"source_labels": torch.tensor(labels)}
        return TranslationAgreement().measure(seen(samples, domains(), labels=classify, given=given))[
            "translation-agreement"
        ]

    assert agreement(samples, [0, 1, 1, 2]) == 1
    assert agreement(samples, [0, 1, 2, 0]) == 0.5
    assert agreement(samples, [1, 2, 0, 0]) == 0
    assert math.isnan(agreement(samples * math.nan, [0, 1, 1, 2]))


def test_map_iou():
    maps = torch.zeros(2, 3, 3, dtype=torch.uint8)
    maps[0, :2], maps[1, 1, 1] = 3, 1
    data = mapped_images()

    def iou(samples, maps=maps, **options):
        return MapIoU(**options).measure(seen(samples, data, given={"map": maps}))["map-iou"]

    perfect = (maps > 0).double()[:, None] * 2 - 1
    assert iou(perfect) == 1
    assert iou(perfect.expand(-1, 3, -1, -1)) == 1
    assert iou(-perfect) == 0
    assert iou(torch.ones(2, 1, 3, 3)) == 7 / 18
    half = perfect.clone()
    half[0, :, 0] = -1  # a row of three is missing
    half[1, :, 2, 2] = 1  # and one is too much
    assert iou(half) == 4 / 8
    assert iou(perfect, threshold=1.5) == 0
    assert iou(-torch.ones(2, 1, 3, 3), torch.zeros_like(maps)) == 1
    assert math.isnan(iou(perfect * math.nan))


def test_where_metrics_can_be_taken():
    both, labelled = domains(), torch.zeros(12, dtype=torch.int64)
    with_labels = Data(
        both.train,
        both.test,
        labelled,
        labelled[:4],
        2,
        source=both.source,
        test_source=both.test_source,
        source_labels=torch.zeros(13, dtype=torch.int64),
        test_source_labels=labelled[:5],
    )
    assert CycleError().fits(both) is None
    assert "source domain" in CycleError().fits(mapped_images())
    assert TranslationAgreement().fits(with_labels) is None
    assert TranslationAgreement().extractor_for(with_labels) == "classifier"
    assert "labels in both" in TranslationAgreement().fits(both)
    assert "source domain" in TranslationAgreement().fits(mapped_images())
    assert MapIoU().fits(mapped_images()) is None
    assert "label maps" in MapIoU().fits(both)
