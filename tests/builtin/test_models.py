from __future__ import annotations

import pytest
import torch
from torch import nn

from ganbench.components.base import create, options_of
from ganbench.components.data import DataSpec
from ganbench.errors import BadInput
from ganbench.game.draws import draw, isolated_rng, stream
from ganbench.game.nets import Layout, Nets, named_buffers, purified
from ganbench_builtin.models.dcgan import DCGAN
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE

POINTS, LINE, DIGITS = DataSpec((2,)), DataSpec((1,)), DataSpec((1, 8, 8), 10)
CASES = {
    "mlp-gan on points": (MLPGAN(hidden=(4, 5), latent=3), POINTS),
    "mlp-gan on images": (MLPGAN(hidden=(4,), activation="leaky-relu"), DIGITS),
    "dirac-gan": (DiracGAN(), LINE),
    "dcgan 28": (DCGAN(width=2, latent=3), DataSpec((1, 28, 28))),
    "dcgan 32": (DCGAN(width=2, latent=3), DataSpec((3, 32, 32))),
    "mlp-vae bernoulli": (MLPVAE(hidden=(4,), latent=2), DIGITS),
    "mlp-vae gaussian": (MLPVAE(hidden=(4, 3), latent=2, decoder="gaussian"), POINTS),
}
each = pytest.mark.parametrize(("model", "spec"), CASES.values(), ids=CASES)


def made(model, spec, training=True):
    with isolated_rng(0, "test"):
        modules = {name: purified(net).train(training) for name, net in model.networks(spec).items()}
    parameters = {name: dict(net.named_parameters()) for name, net in modules.items()}
    return modules, Nets(modules, parameters, named_buffers(modules))


def batch_of(model, spec, n=5):
    drawn = draw(model.draws(spec, n), 0, "batch", torch.float32)
    return drawn | {"data": torch.rand((n, *spec.shape), generator=stream("cpu", 1)) * 2 - 1}


@each
def test_players_own_all_networks_and_all_move(model, spec):
    modules, _ = made(model, spec)
    layout = Layout(model.players(), modules)
    assert {player for turn in model.turns() for player in turn} == set(layout.sizes)


@each
def test_play_gives_what_losses_read(model, spec):
    _, nets = made(model, spec)
    for player in model.players():
        out = model.play(player, nets, batch_of(model, spec))
        if model.family == "adversarial":
            assert out["fake"].shape == (5, *spec.shape)
            assert out["fake_logits"].shape == (5, 1)
            assert ("real_logits" in out) == (player == "discriminator")
        else:
            assert out["log_likelihood"].shape == out["kl"].shape == (5,)
        assert all(tensor.isfinite().all() for tensor in out.values())


@each
def test_samples_look_like_the_data(model, spec):
    _, nets = made(model, spec, training=False)
    drawn = draw(model.sample_draws(spec, 7), 3, "samples", torch.float32)
    samples = model.sample(nets, drawn)
    assert samples.shape == (7, *spec.shape)
    if len(spec.shape) == 3:
        assert samples.abs().max() <= 1
    if drawn["noise"].numel():
        assert samples.flatten(1).std(0).max() > 0
        assert torch.equal(model.sample(nets, drawn), samples)


@each
def test_initialisation_follows_the_stream(model, spec):
    first, again = (made(model, spec)[0] for _ in range(2))
    for net in first:
        for a, b in zip(first[net].parameters(), again[net].parameters(), strict=True):
            assert torch.equal(a, b)


@each
def test_options_round_trip(model, spec):
    assert create(type(model), options_of(model)) == model


def test_discriminator_turns():
    assert MLPGAN(discriminator_turns=3).turns() == (("discriminator",),) * 3 + (("generator",),)
    assert DCGAN().turns() == (("discriminator",), ("generator",))


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (MLPGAN, {"hidden": [0]}),
        (MLPGAN, {"latent": 0}),
        (MLPGAN, {"activation": "gelu"}),
        (MLPGAN, {"discriminator_turns": 0}),
        (DCGAN, {"width": 0}),
        (MLPVAE, {"sigma": 0}),
        (MLPVAE, {"decoder": "poisson"}),
        (DiracGAN, {"latent": 3}),
    ],
)
def test_senseless_options_are_refused(cls, options):
    with pytest.raises(BadInput):
        create(cls, options)


# -- each of them


def test_mlp_widths():
    modules, _ = made(MLPGAN(hidden=(4, 5), latent=3), POINTS)
    widths = [
        [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]
        for net in (modules["generator"], modules["discriminator"])
    ]
    assert widths == [[(3, 4), (4, 5), (5, 2)], [(2, 4), (4, 5), (5, 1)]]
    modules, _ = made(MLPGAN(hidden=()), POINTS)
    assert sum(isinstance(layer, nn.Linear) for layer in modules["generator"].modules()) == 1


def test_generators_of_points_are_not_bounded():
    modules, _ = made(MLPGAN(), POINTS)
    assert not any(isinstance(layer, nn.Tanh) for layer in modules["generator"].modules())


def test_dirac_gan_is_two_scalars():
    model = DiracGAN(theta=0.5, psi=-2.0)
    _, nets = made(model, LINE)
    out = model.play(
        "discriminator",
        nets,
        {"noise": torch.empty(4, 0), "data": torch.tensor([[0.0], [1.0], [2.0], [3.0]])},
    )
    assert out["fake"].flatten().tolist() == [0.5] * 4
    assert out["fake_logits"].flatten().tolist() == [-1.0] * 4
    assert out["real_logits"].flatten().tolist() == [0.0, -2.0, -4.0, -6.0]
    assert model.turns() == (("generator", "discriminator"),)
    assert DiracGAN(alternating=True).turns() == (("discriminator",), ("generator",))


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (DiracGAN(), POINTS, "'point'"),
        (DCGAN(), DIGITS, "16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
        (DCGAN(), POINTS, "16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
        (DCGAN(), DataSpec((3, 28, 32)), "16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
    ],
)
def test_data_that_do_not_fit_get_one_sentence(model, spec, words):
    with pytest.raises(BadInput, match=words) as caught:
        model.networks(spec)
    assert len(caught.value.problems) == 1


def test_dcgan_normalises_the_generator_alone():
    modules, _ = made(DCGAN(width=3), DataSpec((1, 28, 28)))
    assert len(named_buffers(modules)["generator"]) == 4
    assert named_buffers(modules)["discriminator"] == {}


def test_dcgan_weights_are_small():
    modules, _ = made(DCGAN(width=16), DataSpec((1, 28, 28)))
    for net in modules.values():
        for layer in net.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 1000:
                assert abs(layer.weight.std() - 0.02) < 0.002
                assert layer.bias is None or not layer.bias.any()


def test_a_vae_reconstructs_what_it_is_told_to():
    """The Gaussian decoder's sigma weighs the reconstruction."""
    data = torch.zeros(1, 2)
    for sigma in (0.1, 2.0):
        got = MLPVAE(decoder="gaussian", sigma=sigma).log_likelihood(data, data[None] + 1.0)
        expected = torch.distributions.Normal(1.0, sigma).log_prob(data).sum()
        torch.testing.assert_close(got[0, 0], expected)


def test_vae_samples_are_means():
    model = MLPVAE(hidden=(4,), latent=2)
    modules, nets = made(model, DIGITS)
    prior = torch.randn(3, 2, generator=stream("cpu", 0))
    expected = 2 * torch.sigmoid(modules["decoder"](prior)) - 1
    torch.testing.assert_close(model.sample(nets, {"prior": prior}), expected)
