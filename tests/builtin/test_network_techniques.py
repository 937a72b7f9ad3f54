"""Techniques that wrap networks: packing, minibatch layers, orthogonal initialisation, spectral norm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from toys import variant

import ganbench
from ganbench.components.base import bind, create
from ganbench.components.data import Data, DataSpec
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import isolated_rng, stream
from ganbench.game.nets import Nets, named_buffers
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.models.acgan import ACGAN
from ganbench_builtin.models.cgan import CGAN
from ganbench_builtin.models.cyclegan import CycleGAN
from ganbench_builtin.models.dcgan import DCGAN
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.gaugan import GauGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.models.projection_gan import ProjectionGAN
from ganbench_builtin.models.sngan import SNGAN
from ganbench_builtin.techniques.minibatch_discrimination import MinibatchDiscrimination
from ganbench_builtin.techniques.minibatch_stddev import EPSILON, MinibatchStddev
from ganbench_builtin.techniques.orthogonal_init import OrthogonalInit
from ganbench_builtin.techniques.packing import Packing
from ganbench_builtin.techniques.r1 import R1
from ganbench_builtin.techniques.spectral_norm import SpectralNorm

DOUBLE = torch.float64
POINTS, IMAGES = DataSpec((2,)), DataSpec((2, 28, 28))
SMALL = MLPGAN(hidden=(8, 8))
DOMAINS = DataSpec((3, 28, 28), source=(3, 28, 28))
JUDGES = {"discriminator_source", "discriminator_target"}
TRANSLATOR = CycleGAN(width=2, discriminator_width=2, blocks=1)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def built(model, spec, *techniques, seed=0):
    """The model's networks, in double precision, wrapped by the techniques, the first innermost."""
    build = model.networks
    judges = {judge: model.players()[judge] for judge in model.judges()}
    for technique in (bind(technique, {"judges": judges}) for technique in techniques):
        build = lambda spec, inner=build, technique=technique: technique.networks(inner, spec)  # noqa: E731
    with isolated_rng(seed, "init"):
        return {name: net.to(DOUBLE) for name, net in build(spec).items()}


def same(a, b) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


# -- packing


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize(("model", "spec"), [(SMALL, POINTS), (DCGAN(width=4, latent=4), IMAGES)])
def test_the_packed_discriminator_sees_m_samples_one_after_another(model, spec, m):
    nets = built(model, spec, Packing(m=m))
    x = random(2 * m, *spec.shape)
    # the same weights in a discriminator of packs, on packs put together by hand
    plain = built(model, DataSpec((m * spec.shape[0], *spec.shape[1:])), seed=1)["discriminator"]
    plain.load_state_dict(nets["discriminator"].net.state_dict())
    packs = torch.stack([torch.cat([x[i] for i in range(m)]), torch.cat([x[m + i] for i in range(m)])])
    logits = nets["discriminator"](x)
    assert logits.shape == (2, 1)
    assert torch.equal(logits, plain(packs))
    assert logits.std() > 1e-6


def test_packing_leaves_the_generator_as_it_would_be():
    packed, plain = built(SMALL, POINTS, Packing(m=3)), built(SMALL, POINTS)
    assert same(packed["generator"], plain["generator"])
    assert packed["generator"](random(6, 2)).shape == (6, 2)


def test_a_pack_of_one_is_plain():
    packed, plain = built(SMALL, POINTS, Packing(m=1)), built(SMALL, POINTS)
    assert all(same(packed[name], plain[name]) for name in plain)
    assert Packing(m=1).draws(POINTS, 7) == {}


def test_every_discriminator_judges_packs():
    nets, plain = built(TRANSLATOR, DOMAINS, Packing(m=2)), built(TRANSLATOR, DOMAINS)
    assert nets.keys() == plain.keys()
    for name in JUDGES:
        assert next(plain[name].parameters()).shape[1] == 3
        assert next(nets[name].parameters()).shape[1] == 6
        assert len(nets[name](random(4, 3, 28, 28))) == 2
    for name in nets.keys() - JUDGES:
        assert same(nets[name], plain[name])


def test_packs_divide_the_batch():
    assert Packing(m=3).draws(POINTS, 12) == {}
    with pytest.raises(BadInput, match=r"^packs of 3 do not divide a batch of 64: choose 63 or 66$"):
        Packing(m=3).draws(POINTS, 64)
    with pytest.raises(BadInput, match=r"choose 4$"):
        Packing(m=4).draws(POINTS, 3)
    with pytest.raises(BadInput):
        create(Packing, {"m": 0})


def test_r1_of_packs_is_one_mth_of_the_packs():
    discriminator = built(SMALL, POINTS, Packing(m=4))["discriminator"]
    nets = Nets(
        {"discriminator": discriminator},
        {"discriminator": dict(discriminator.named_parameters())},
        named_buffers({"discriminator": discriminator}),
    )
    x = random(8, 2)
    value = R1(gamma=2.0).objective(lambda *_: torch.zeros((), dtype=DOUBLE))
    packs = x.reshape(2, 8).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator.net(packs).sum(), packs)
    expected = slope.square().sum(1).mean() / 4
    assert expected > 1e-3
    close(value("discriminator", nets, {"data": x}, {}), expected)


@dataclass(frozen=True)
class Conditional(MLPGAN):
    """Its discriminator sees labels."""

    def conditioned(self, nets, batch):
        return nets.around("discriminator", lambda call: lambda x: call(x, batch["labels"]))


def test_what_packing_fits():
    assert Packing().fits(MLPGAN(), Hinge()) is None
    assert Packing().fits(TRANSLATOR, Hinge()) is None
    assert "has none" in Packing().fits(MLPVAE(), Hinge())
    for model in (Conditional(), CGAN(), ACGAN(), ProjectionGAN(), GauGAN()):
        assert "something of its own" in Packing().fits(model, Hinge())


# -- minibatch layers


def by_hand(plain, wide, statistics, x):
    """Logits from the plain discriminator's features, and statistics of them that numpy computes."""
    *body, last = plain[1]
    features = nn.Sequential(plain[0], *body)(x)
    added = torch.from_numpy(statistics(features.detach().numpy()))
    assert torch.equal(wide.linear.weight[:, : features.shape[1]], last.weight)  # what was there stays
    assert torch.equal(wide.linear.bias, last.bias)
    return torch.cat([features, added], 1) @ wide.linear.weight.T + wide.linear.bias


def test_minibatch_discrimination_is_the_double_loop():
    kernels, dims, count = 4, 3, 5
    plain = built(SMALL, POINTS)["discriminator"]
    net = built(SMALL, POINTS, MinibatchDiscrimination(kernels=kernels, dims=dims))["discriminator"]
    wide = net[1][-1]

    def statistics(features):
        tensor = wide.statistics.project.weight.detach().numpy().reshape(kernels, dims, -1)
        out = np.zeros((count, kernels))
        for i in range(count):
            for j in range(count):
                for b in range(kernels):
                    rows = [tensor[b] @ features[k] for k in (i, j)]
                    out[i, b] += np.exp(-np.abs(rows[0] - rows[1]).sum())
        assert out.min() > 1.1
        assert out.max() < count - 0.1
        return out

    x = 2 * random(count, 2)
    close(net(x), by_hand(plain, wide, statistics, x))


@pytest.mark.parametrize("group", [0, 3, 1])
def test_minibatch_stddev_is_numpys(group):
    plain = built(SMALL, POINTS)["discriminator"]
    net = built(SMALL, POINTS, MinibatchStddev(group=group))["discriminator"]

    def statistics(features):
        groups = np.split(features, 6 // (group or 6))
        values = [np.sqrt(part.std(axis=0) ** 2 + EPSILON).mean() for part in groups]
        return np.repeat(values, group or 6)[:, None]

    x = random(6, 2)
    close(net(x), by_hand(plain, net[1][-1], statistics, x))


def test_the_smallest_spread_has_a_finite_slope():
    net = built(SMALL, POINTS, MinibatchStddev())["discriminator"]
    x = torch.ones(4, 2, dtype=DOUBLE, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x)
    assert slope.isfinite().all()


@pytest.mark.parametrize("technique", [MinibatchDiscrimination(kernels=3), MinibatchStddev()])
def test_weights_of_statistics_begin_at_the_scale_of_the_others(technique):
    net = built(DCGAN(width=64), DataSpec((1, 28, 28)), technique)["discriminator"]
    weight = net[-1].linear.weight
    assert weight.shape[1] == 128 * 49 + (1 if isinstance(technique, MinibatchStddev) else 3)
    assert weight[:, 128 * 49 :].abs().max() < 5 * 0.02
    assert weight[:, 128 * 49 :].abs().min() > 0


@pytest.mark.parametrize("technique", [MinibatchDiscrimination(), MinibatchStddev()], ids=lambda t: t.name)
@pytest.mark.parametrize("model", [CGAN(), ACGAN(), ProjectionGAN(), SNGAN(4, 4)], ids=lambda m: m.name)
def test_minibatch_layers_are_at_the_end_of_whatever_discriminator(model, technique):
    spec = DataSpec((1, 28, 28), classes=10)
    plain, net = (built(model, spec, *chosen)["discriminator"] for chosen in ((), (technique,)))
    labels = [torch.arange(3)] if isinstance(model, CGAN | ProjectionGAN) else []
    x, others = random(3, 1, 28, 28), torch.cat([random(1, 1, 28, 28), random(2, 1, 28, 28, seed=1)])
    close(plain(x, *labels)[0], plain(others, *labels)[0])
    assert net(x, *labels).shape == plain(x, *labels).shape
    assert (net(x, *labels)[0] - net(others, *labels)[0]).abs().min() > 1e-6


@pytest.mark.parametrize("technique", [MinibatchDiscrimination(), MinibatchStddev()], ids=lambda t: t.name)
def test_minibatch_layers_need_a_linear_layer_at_the_end(technique):
    for model, spec in ((TRANSLATOR, DOMAINS), (DiracGAN(), DataSpec((1,)))):
        with pytest.raises(BadInput, match=f"^{technique.name} needs a discriminator that ends in a linear"):
            built(model, spec, technique)
    assert technique.fits(MLPGAN(), Hinge()) is None
    assert "has none" in technique.fits(MLPVAE(), Hinge())
    assert type(technique.network("discriminator", nn.Linear(3, 1))).__name__ == "_Widened"  # nothing else
    untouched = nn.Linear(3, 1)
    assert technique.network("generator", untouched) is untouched


def test_groups_divide_the_batch():
    assert MinibatchStddev(group=4).draws(POINTS, 8) == {}
    with pytest.raises(BadInput, match=r"^minibatch-stddev: groups of 4 do not divide a batch of 6: choose"):
        MinibatchStddev(group=4).draws(POINTS, 6)
    net = built(SMALL, POINTS, Packing(m=2), MinibatchStddev(group=4))["discriminator"]
    assert net(random(8, 2)).shape == (4, 1)
    with pytest.raises(BadInput, match=r"^groups of 4 do not divide the 3 that are judged at once$"):
        net(random(6, 2))
    for cls, options in ((MinibatchStddev, {"group": -1}), (MinibatchDiscrimination, {"kernels": 0})):
        with pytest.raises(BadInput):
            create(cls, options)


# -- weights


@pytest.mark.parametrize("gain", [1.0, 1.4])
def test_orthogonal_weights_are_orthogonal(gain):
    found = built(DCGAN(width=4, latent=4), IMAGES, OrthogonalInit(gain=gain))
    plain = built(DCGAN(width=4, latent=4), IMAGES)
    seen = set()
    for name, net in found.items():
        for path, layer in net.named_modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                continue
            weight = layer.weight.detach().numpy()
            if isinstance(layer, nn.ConvTranspose2d):
                weight = np.moveaxis(weight, 1, 0)
            weight = weight.reshape(len(weight), -1)
            small = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
            np.testing.assert_allclose(small, gain**2 * np.eye(len(small)), atol=1e-5)
            if layer.bias is not None:
                assert torch.equal(layer.bias, plain[name].get_submodule(path).bias)
            seen.add(type(layer))
    assert len(seen) == 3
    assert same(found["generator"][2], plain["generator"][2])  # a norm


def test_orthogonal_weights_are_random():
    weights = [built(SMALL, POINTS, OrthogonalInit(), seed=seed)["generator"][0].weight for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert (weights[0] - weights[2]).norm() > 0.1
    with pytest.raises(BadInput):
        create(OrthogonalInit, {"gain": 0})


def test_spectral_norm_is_of_every_discriminator_and_of_nothing_else():
    nets, plain = built(TRANSLATOR, DOMAINS, SpectralNorm()), built(TRANSLATOR, DOMAINS)
    for name in JUDGES:
        for _ in range(200):
            nets[name](torch.zeros(2, 3, 28, 28, dtype=DOUBLE))
        normalised = [part for part in nets[name].modules() if hasattr(part, "left")]
        assert len(normalised) == sum(isinstance(part, nn.Conv2d) for part in plain[name].modules())
        for part in normalised:
            weight = part.layer.weight.detach().flatten(1)
            sigma = torch.linalg.matrix_norm(weight, 2)
            found = part.left @ (weight @ nn.functional.normalize(weight.mT @ part.left, dim=0))
            close(found, sigma, 1e-3)
    for name in nets.keys() - JUDGES:
        assert same(nets[name], plain[name])


# -- stacks

STACKS = [
    ("packing",),
    ("minibatch-discrimination",),
    ("minibatch-stddev",),
    ("orthogonal-init",),
    # out of order, on purpose
    ("r1", "spectral-norm", "orthogonal-init", "minibatch-stddev", "packing", "minibatch-discrimination"),
]


def check_a_stack_is_its_runs(catalogue, data, model, names, options, batch):
    options = options | {
        "minibatch-discrimination": {"kernels": 5, "dims": 2},
        "minibatch-stddev": {"group": 2},
    }
    made, plain = (
        Program(variant(model, "non-saturating", chosen, options, batch=batch), catalogue, data)
        for chosen in (names, ())
    )
    runs, device = Runs((0, 1), ({}, {})), torch.device("cpu")
    looped, mapped = Looped(made, runs, data, device), Mapped(made, runs, data, device, Eager())
    rows, mapped_rows = looped.advance(3), mapped.advance(3)
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-10, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(looped.state(), mapped.state(), rtol=1e-10, atol=1e-10)
    assert looped.died() == [0, 0]
    without = Looped(plain, runs, data, device)
    without.advance(3)
    generators = [trainer.state().joint["generator"] for trainer in (looped, without)]
    assert (generators[0] - generators[1]).norm() > 1e-9  # the technique is there


@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_a_stack_is_its_runs(builtins, names):
    data = create(builtins.get("dataset", "ring").cls, {"size": 100}).load(None)
    check_a_stack_is_its_runs(builtins, data, "mlp-gan", names, {"mlp-gan": {"hidden": [8, 8]}}, 8)


@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_a_stack_of_images_is_its_runs(builtins, names):
    images = torch.rand((20, 1, 28, 28), generator=stream("cpu", 0, "images")) * 2 - 1
    data = Data(train=images, test=images[:2])
    check_a_stack_is_its_runs(builtins, data, "dcgan", names, {"dcgan": {"width": 4, "latent": 4}}, 8)


def test_what_builds_networks_cannot_be_swept():
    for cls in (Packing, MinibatchDiscrimination, MinibatchStddev, OrthogonalInit, SpectralNorm):
        assert not ganbench.components.base.sweepable(cls)
