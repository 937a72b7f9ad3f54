from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganbench.components.base import create, options_of
from ganbench.components.data import DataSpec
from ganbench.components.optimizers import SGD, Adam
from ganbench.errors import BadInput
from ganbench.game import Flow
from ganbench.game.draws import isolated_rng
from ganbench.game.nets import Nets, named_buffers
from ganbench.game.update_rules import Clock, per_player
from ganbench_builtin.losses.elbo import ELBO
from ganbench_builtin.losses.non_saturating import NonSaturating
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.techniques import ALL
from ganbench_builtin.techniques._gradient_penalty import EPSILON
from ganbench_builtin.techniques.ema import EMA
from ganbench_builtin.techniques.gradient_clipping import GradientClipping
from ganbench_builtin.techniques.r1 import R1
from ganbench_builtin.techniques.spectral_norm import SpectralNorm
from ganbench_builtin.techniques.ttur import TTUR
from ganbench_builtin.techniques.weight_clipping import WeightClipping
from ganbench_builtin.techniques.wgan_gp import WGANGP

DOUBLE = torch.float64


def at(step):
    """The clock of a step in which each player has moved as often as there were steps."""
    return Clock(step, dict.fromkeys(("generator", "discriminator"), step), last=True)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# -- penalties


def nets_of(net, parameters=None):
    named = dict(net.named_parameters()) if parameters is None else parameters
    return Nets({"discriminator": net}, {"discriminator": named}, named_buffers({"discriminator": net}))


def penalty(technique, net, batch, out=None, parameters=None, player="discriminator"):
    """What the technique adds to an objective of 7."""
    objective = technique.objective(lambda player, nets, batch, out: torch.tensor(7.0, dtype=DOUBLE))
    return objective(player, nets_of(net, parameters), batch, out or {}) - 7


def linear(weights):
    net = nn.Linear(len(weights), 1).to(DOUBLE)
    net.weight.data.copy_(torch.tensor([weights], dtype=DOUBLE))
    return net


def curved():
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)).to(DOUBLE)
    for i, parameter in enumerate(net.parameters()):
        parameter.data = random(*parameter.shape, seed=i)
    return net


IMAGES = random(4, 1, 2, 3, seed=10)
FAKES = random(4, 1, 2, 3, seed=11)
MIX = torch.tensor([0.0, 0.25, 0.7, 0.99], dtype=DOUBLE)

weights = st.lists(st.floats(-10, 10), min_size=1, max_size=5)


@given(weights=weights, gamma=st.floats(0, 100))
def test_r1_of_a_linear_discriminator(weights, gamma):
    data = random(3, len(weights))
    found = penalty(R1(gamma=gamma), linear(weights), {"data": data})
    close(found.item(), gamma / 2 * sum(w * w for w in weights), 1e-10)


@given(weights=weights, weight=st.floats(0, 100), target=st.floats(0, 3))
def test_wgan_gp_of_a_linear_discriminator(weights, weight, target):
    real, fake = random(4, len(weights)), random(4, len(weights), seed=1)
    found = penalty(
        WGANGP(weight=weight, target=target),
        linear(weights),
        {"data": real, "wgan-gp/mix": MIX},
        {"fake": fake},
    )
    norm = (sum(w * w for w in weights) + EPSILON) ** 0.5
    close(found.item(), weight * (norm - target) ** 2, 1e-9)


def slopes(net, x, h=1e-5):
    """Each sample's gradient by finite differences, B x numbers."""
    flat = x.flatten(1)
    columns = []
    for i in range(flat.shape[1]):
        step = torch.zeros_like(flat)
        step[:, i] = h
        columns.append((net((flat + step).view(x.shape)) - net((flat - step).view(x.shape))) / (2 * h))
    return torch.cat(columns, dim=1)


def test_r1_is_of_the_real_data_and_averages_over_samples():
    net = curved()
    expected = 3.0 / 2 * slopes(net, IMAGES).square().sum(1).mean()
    close(penalty(R1(gamma=3.0), net, {"data": IMAGES}, {"fake": FAKES}), expected, 1e-8)


def test_wgan_gp_is_of_each_samples_norm_between_real_and_fake():
    net = curved()
    between = IMAGES + MIX.view(4, 1, 1, 1) * (FAKES - IMAGES)
    expected = 2.0 * (slopes(net, between).norm(dim=1) - 1).square().mean()
    batch = {"data": IMAGES, "wgan-gp/mix": MIX}
    close(penalty(WGANGP(weight=2.0), net, batch, {"fake": FAKES}), expected, 1e-8)


@pytest.mark.parametrize("technique", [R1(gamma=3.0), WGANGP(weight=2.0)], ids=lambda t: t.name)
def test_gradient_of_a_penalty_equals_finite_differences(technique):
    net = curved()
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    batch = {"data": IMAGES, "wgan-gp/mix": MIX}

    def value(parameters):
        return penalty(technique, net, batch, {"fake": FAKES}, parameters)

    gradients = torch.func.grad(value)(parameters)
    h = 1e-6
    for name, gradient in gradients.items():
        direction = random(*parameters[name].shape, seed=5)
        up, down = (value(parameters | {name: parameters[name] + s * h * direction}) for s in (1, -1))
        close((gradient * direction).sum(), (up - down) / (2 * h), 1e-6)
    assert gradients["1.weight"].norm() > 1e-2


@pytest.mark.parametrize("technique", [R1(), WGANGP()], ids=lambda t: t.name)
def test_a_penalty_is_the_discriminators(technique):
    assert (
        penalty(
            technique, curved(), {"data": IMAGES, "wgan-gp/mix": MIX}, {"fake": FAKES}, player="generator"
        )
        == 0
    )


def test_wgan_gp_of_a_flat_discriminator_has_a_finite_gradient():
    net = linear([0.0, 0.0])
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    batch, out = {"data": random(4, 2), "wgan-gp/mix": MIX}, {"fake": random(4, 2, seed=1)}
    gradients = torch.func.grad(lambda p: penalty(WGANGP(), net, batch, out, p))(parameters)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("technique", [R1(), WGANGP()], ids=lambda t: t.name)
def test_a_penalty_moves_no_buffers(technique):
    net = SpectralNorm().network("discriminator", curved()).to(DOUBLE)
    nets = nets_of(net)
    kept = {name: b.clone() for name, b in nets.buffers["discriminator"].items()}
    assert kept
    technique.objective(lambda *arguments: torch.zeros((), dtype=DOUBLE))(
        "discriminator", nets, {"data": IMAGES, "wgan-gp/mix": MIX}, {"fake": FAKES}
    )
    assert all(torch.equal(b, kept[name]) for name, b in nets.buffers["discriminator"].items())


def test_wgan_gp_draws_a_place_a_sample():
    ((name, mix),) = WGANGP().draws(DataSpec((2,)), 5).items()
    assert (name, mix.shape, mix.distribution) == ("wgan-gp/mix", (5,), "uniform")


# -- spectral norm

LAYERS = {
    "linear": (nn.Linear(5, 4), (3, 5), lambda w: w),
    "tall": (nn.Linear(2, 9, bias=False), (3, 2), lambda w: w),
    "conv1d": (nn.Conv1d(2, 3, 3), (2, 2, 7), lambda w: w.flatten(1)),
    "conv2d": (nn.Conv2d(2, 3, 3, padding=1), (2, 2, 4, 4), lambda w: w.flatten(1)),
    "transposed conv2d": (
        nn.ConvTranspose2d(3, 2, 4, 2, 1),
        (2, 3, 3, 3),
        lambda w: w.transpose(0, 1).flatten(1),
    ),
}


def normalised(layer):
    with isolated_rng(0, "layer"):
        layer.reset_parameters()
        return SpectralNorm().network("discriminator", nn.Sequential(layer)).to(DOUBLE)


@pytest.mark.parametrize(("layer", "shape", "matrix"), LAYERS.values(), ids=LAYERS)
def test_spectral_norm_converges_to_the_largest_singular_value(layer, shape, matrix):
    net, x = normalised(layer), random(*shape)
    weight = layer.weight.detach().clone()
    for _ in range(2000):
        net(x)
    sigma = torch.linalg.svdvals(matrix(weight))[0]
    found = net(x)
    assert torch.equal(layer.weight, weight)
    with torch.no_grad():
        layer.weight.copy_(weight / sigma)
    assert abs(sigma - 1) > 1e-2
    close(found, layer(x), 1e-9)


def test_spectral_norm_takes_one_power_iteration_a_call_and_none_in_evaluation():
    layer = nn.Linear(5, 4)
    net = normalised(layer)
    left, weight = net[0].left.clone(), layer.weight.detach()
    net(random(3, 5))
    right = nn.functional.normalize(weight.mT @ left, dim=0)
    expected = nn.functional.normalize(weight @ right, dim=0)
    close(net[0].left, expected)
    kept = net[0].left
    net.eval()
    close(net(random(3, 5)), net(random(3, 5)))
    assert net[0].left is kept


def test_spectral_norm_rebinds_its_vector():
    net = normalised(nn.Linear(5, 4))
    old = net[0].left
    value = old.clone()
    net(random(3, 5))
    assert torch.equal(old, value)
    assert net[0].left is not old


def test_gradient_flows_through_the_norm():
    layer = nn.Linear(3, 2, bias=False)
    net, x = normalised(layer), random(4, 3)
    for _ in range(500):
        net(x)
    (found,) = torch.autograd.grad(net(x).square().sum(), layer.weight)

    def value(w):
        return (x @ (w / torch.linalg.svdvals(w)[0]).mT).square().sum()

    close(found, torch.func.grad(value)(layer.weight.detach()), 1e-8)
    # what it gives does not change with the scale of the weight, so the gradient is orthogonal to it
    assert abs((found * layer.weight).sum()) < 1e-9


def test_only_the_discriminators_layers_are_normalised():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), nn.LayerNorm(2))
    relu, norm = net[1][1], net[2]
    assert SpectralNorm().network("generator", net) is net
    assert named_buffers({"g": net})["g"] == {}
    wrapped = SpectralNorm().network("discriminator", net)
    assert set(named_buffers({"d": wrapped})["d"]) == {"0.left", "1.0.left"}
    assert wrapped[1][1] is relu
    assert wrapped[2] is norm


# -- rules

PLAYERS = ("generator", "discriminator")


def follow(technique, optimizer, steps=50, technique_last=True):
    """Joint points and memories along a path of given gradients, with and without the technique."""
    plain = per_player(dict.fromkeys(PLAYERS, optimizer))
    paths = []
    for rule in (plain, technique.rule(plain)):
        joint = {player: random(6, seed=i) for i, player in enumerate(PLAYERS)}
        memory = rule.init(joint)
        path = [(joint, memory)]
        for k in range(1, steps + 1):
            mover = PLAYERS[k % 2]
            joint, memory = rule.apply({mover: random(6, seed=100 + k)}, joint, memory, at(k))
            path.append((joint, memory))
        paths.append(path)
    return paths, technique.rule(plain)


def test_ema_is_the_recurrence():
    decay = 0.9
    (plain, averaged), rule = follow(EMA(decay=decay), Adam(lr=0.1))
    expected = averaged[0][0]["generator"]
    for k, ((joint, _), (same, memory)) in enumerate(zip(plain, averaged, strict=True)):
        assert all(torch.equal(joint[player], same[player]) for player in PLAYERS)
        if k and k % 2 == 0:  # it moves in the generator's turns only
            expected = decay * expected + (1 - decay) * joint["generator"]
        close(memory["generator/ema"], expected)
        evaluated = rule.evaluated(same, memory)
        close(evaluated["generator"], expected)
        assert evaluated["discriminator"] is same["discriminator"]
        assert "discriminator/ema" not in memory
    assert (expected - joint["generator"]).norm() > 0.1


@pytest.mark.parametrize("optimizer", [Adam(lr=0.01, betas=(0.5, 0.9)), SGD(lr=0.01)], ids=lambda o: o.name)
def test_ttur_is_a_longer_learning_rate(optimizer):
    (_, scaled), _ = follow(TTUR(ratio=3.0), optimizer)
    fast = type(optimizer)(**(options_of(optimizer) | {"lr": 0.03}))
    rule = per_player({"generator": optimizer, "discriminator": fast})
    joint = {player: random(6, seed=i) for i, player in enumerate(PLAYERS)}
    memory = rule.init(joint)
    for k in range(1, 51):
        joint, memory = rule.apply({PLAYERS[k % 2]: random(6, seed=100 + k)}, joint, memory, at(k))
        for player in PLAYERS:
            close(scaled[k][0][player], joint[player])


@given(limit=st.floats(1e-3, 0.5))
@settings(max_examples=20)
def test_weight_clipping_bounds_the_critic_after_its_turns(limit):
    (plain, clipped), _ = follow(WeightClipping(limit=limit), SGD(lr=1.0), steps=6)
    for k, ((free, _), (joint, _)) in enumerate(zip(plain, clipped, strict=True)):
        assert torch.equal(joint["generator"], free["generator"])
        if k:
            assert joint["discriminator"].abs().max() <= limit
    assert clipped[0][0]["discriminator"].abs().max() > limit
    close(clipped[1][0]["discriminator"], plain[1][0]["discriminator"].clamp(-limit, limit))


def test_clipping_comes_after_whatever_moves_and_averages_see_what_is_left():
    assert TTUR.order < WeightClipping.order < EMA.order
    chain = per_player(dict.fromkeys(PLAYERS, SGD(lr=1.0)))
    for technique in sorted(
        [EMA(decay=0.0), WeightClipping(limit=0.1), TTUR(ratio=10.0)], key=lambda t: t.order
    ):
        chain = technique.rule(chain)
    joint = {player: torch.ones(3, dtype=DOUBLE) for player in PLAYERS}
    joint, _ = chain.apply({"discriminator": torch.ones(3, dtype=DOUBLE)}, joint, chain.init(joint), at(1))
    assert joint["discriminator"].tolist() == [-0.1] * 3


# -- gradient clipping


@given(scale=st.floats(1e-3, 1e3), limit=st.floats(1e-2, 10))
def test_gradient_clipping_is_torchs_for_each_player(scale, limit):
    gradients = {"generator": scale * random(4), "discriminator": scale * random(3, seed=1) / 7}
    probes = {player: torch.tensor(1.0) for player in gradients}
    flow = Flow(gradients, {"n": {}}, probes, {player: {} for player in gradients})
    field = GradientClipping(max_norm=limit).field(lambda turn, joint, buffers, batch: flow)
    found = field(tuple(gradients), {}, {}, {})
    for player, gradient in gradients.items():
        reference = nn.Parameter(torch.zeros_like(gradient))
        reference.grad = gradient.clone()
        nn.utils.clip_grad_norm_([reference], limit)
        close(found.gradients[player], reference.grad)
        assert found.gradients[player].norm() <= limit
    assert found.losses is flow.losses
    assert found.buffers is flow.buffers


# -- what they fit, and their options


def test_who_needs_a_discriminator_says_so():
    said = {cls.name: cls().fits(MLPVAE(), ELBO()) for cls in ALL}
    assert said["ema"] is said["gradient-clipping"] is None
    assert said["r1"] == "r1 acts on the discriminator, and mlp-vae has none"
    for cls in ALL:  # each is for one of them, and says a sentence of the other
        sentences = [said[cls.name], cls().fits(MLPGAN(), NonSaturating())]
        assert None in sentences
        assert all(len(sentence) > 20 for sentence in sentences if sentence)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.name)
def test_options_round_trip(cls):
    assert create(cls, options_of(cls())) == cls()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (EMA, {"decay": 1.1}),
        (EMA, {"decay": -0.1}),
        (TTUR, {"ratio": 0}),
        (WeightClipping, {"limit": 0}),
        (GradientClipping, {"max_norm": -1}),
        (R1, {"gama": 1.0}),
        (WGANGP, {"lambda": 1.0}),
    ],
)
def test_senseless_options_are_refused(cls, options):
    with pytest.raises(BadInput):
        create(cls, options)
