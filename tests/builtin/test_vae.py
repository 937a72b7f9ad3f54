"""VAEs, their losses and annealing, against closed forms, scipy and loops written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as D
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import Data, DataSpec
from ganbench.engine.program import Program
from ganbench.engine.sampling import Sampler
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.draws import draw, isolated_rng, stream
from ganbench.game.nets import Nets, named_buffers, purified
from ganbench_builtin import losses, techniques
from ganbench_builtin.losses.beta_tc import BetaTC, terms
from ganbench_builtin.losses.beta_vae import BetaVAE
from ganbench_builtin.losses.elbo import ELBO
from ganbench_builtin.losses.free_bits import FreeBits
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.losses.info_vae import InfoVAE, mmd
from ganbench_builtin.losses.iwae import IWAE
from ganbench_builtin.losses.minimax import Minimax
from ganbench_builtin.losses.relativistic import Relativistic
from ganbench_builtin.models.conv_vae import ConvVAE
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.models.vae_gan import VAEGAN
from ganbench_builtin.techniques.cyclical_annealing import CyclicalAnnealing
from ganbench_builtin.techniques.kl_annealing import KLAnnealing

DOUBLE = torch.float64
POINTS, DIGITS, IMAGES = DataSpec((2,)), DataSpec((1, 4, 4)), DataSpec((1, 16, 16))
VARIATIONAL = {cls.name: cls for cls in losses.ALL if cls.family == "variational"}
DECODERS = {
    "bernoulli": (MLPVAE(hidden=(5,), latent=3, particles=4), DIGITS),
    "fixed": (MLPVAE(hidden=(5,), latent=3, particles=4, decoder="gaussian", sigma=0.3), POINTS),
    "learned": (
        MLPVAE(hidden=(5,), latent=3, particles=4, decoder="gaussian", variance="learned", sigma=0.3),
        POINTS,
    ),
    "conv": (ConvVAE(width=2, latent=3, particles=4), IMAGES),
}
each_decoder = pytest.mark.parametrize(("model", "spec"), DECODERS.values(), ids=DECODERS)


def normal(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(shape, generator=stream("cpu", seed, "normal", *shape), dtype=dtype)


def made(model, spec, scale=1.0):
    """Modules with weights `scale` times their first, and the networks that call them."""
    with isolated_rng(0, "test"):
        modules = {name: purified(net).to(DOUBLE) for name, net in model.networks(spec).items()}
    for parameter in (p for name in modules.keys() - {"log_sigma"} for p in modules[name].parameters()):
        parameter.data = scale * parameter.data
    parameters = {name: dict(net.named_parameters()) for name, net in modules.items()}
    return modules, Nets(modules, parameters, named_buffers(modules))


def batch_of(model, spec, n=6):
    drawn = draw(model.draws(spec, n), 0, "batch", DOUBLE)
    return drawn | {"data": normal(n, *spec.shape).tanh()}


def equal(ours, theirs, tolerance=1e-10):
    theirs = theirs.detach() if isinstance(theirs, torch.Tensor) else torch.from_numpy(np.array(theirs))
    torch.testing.assert_close(ours.detach(), theirs, rtol=tolerance, atol=tolerance)


# -- what a VAE gives


@each_decoder
def test_play_is_the_model_that_it_says(model, spec):
    modules, nets = made(model, spec, scale=2.0)
    batch = batch_of(model, spec)
    out = model.play("vae", nets, batch)
    mean, log_variance = modules["encoder"](batch["data"]).chunk(2, dim=1)
    posterior = D.Normal(mean, (log_variance / 2).exp())
    prior = D.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    codes = mean + posterior.stddev * batch["noise"]
    decoded = torch.stack([modules["decoder"](code) for code in codes])
    pixels = decoded.flatten(2).detach().numpy()
    data = batch["data"].flatten(1).numpy()
    if model.decoder == "bernoulli":  # of bytes in [0, 1], which need not be 0 or 1
        odds = stats.logistic.logcdf(pixels), stats.logistic.logsf(pixels)
        likelihood = ((data + 1) / 2 * odds[0] + (1 - data) / 2 * odds[1]).sum(2)
    else:
        sigma = modules["log_sigma"]().exp().item() if model.learns_sigma else 0.3
        assert sigma == pytest.approx(0.3)
        likelihood = stats.norm.logpdf(data, pixels, sigma).sum(2)
    ratio = (prior.log_prob(codes) - posterior.log_prob(codes)).sum(2)

    equal(out["mean"], mean)
    equal(out["log_variance"], log_variance)
    equal(out["kl_dimensions"], D.kl_divergence(posterior, prior))
    equal(out["kl"], D.kl_divergence(posterior, prior).sum(1))
    equal(out["log_likelihood"], likelihood.mean(0))
    equal(out["log_weights"], likelihood + ratio.detach().numpy())
    equal(out["code"], codes[0])
    equal(out["prior"], batch["prior"])


def test_kl_of_a_collapsed_dimension_keeps_its_digits():
    """At log variance 1e-4, KL is 2.5e-9: in float32, exp(v) - 1 would be off by 1e-7."""
    from ganbench_builtin.models._vae import kl_dimensions

    v = torch.tensor(1e-4)
    exact = math.fsum([math.expm1(1e-4), -1e-4]) / 2
    assert kl_dimensions(torch.tensor(0.0), v).item() == pytest.approx(exact, rel=1e-2)


def test_the_learned_deviation_is_best_at_the_root_mean_square():
    """Rybkin et al. 2021, eq. 7: sigma^2 = mean squared error maximises the likelihood."""
    model = MLPVAE(decoder="gaussian", variance="learned")
    data, decoded = normal(20, 2), normal(3, 20, 2, seed=1)
    best = (data - decoded).square().mean().log() / 2
    slope = torch.func.grad(lambda s: model.log_likelihood(data, decoded, s).mean())
    assert abs(slope(best)) < 1e-12
    assert slope(best - 0.1) > 0.1
    assert slope(best + 0.1) < -0.1


@each_decoder
def test_inspection_agrees_with_play(model, spec):
    modules, nets = made(model, spec)
    assert set(model.sample_draws(spec, 5)) == {"noise", "prior"}
    drawn = draw(model.sample_draws(spec, 5), 0, "inspect", DOUBLE)
    assert drawn["noise"].shape == (model.evaluation_particles, 5, 3)
    batch = drawn | {"data": normal(5, *spec.shape).tanh()}
    shown, out = model.inspect(nets, batch), model.play("vae", nets, batch)
    assert set(shown) == set(model.shows)
    for name in set(shown) - {"reconstruction", "decoder_variance"}:
        equal(shown[name], out[name])
    decoded = modules["decoder"](shown["mean"])
    expected = 2 * torch.sigmoid(decoded) - 1 if model.decoder == "bernoulli" else decoded
    equal(shown["reconstruction"], expected)
    assert model.sample(nets, batch).shape == (5, *spec.shape)


def test_gaussian_images_stay_in_range():
    model = MLPVAE(hidden=(), latent=2, decoder="gaussian")
    modules, nets = made(model, DIGITS, scale=20.0)
    prior = normal(9, 2)
    raw, samples = modules["decoder"](prior), model.sample(nets, {"prior": prior})
    assert raw.abs().max() > 1
    equal(samples, raw.clamp(-1, 1))


def test_the_learned_deviation_belongs_to_the_player():
    model = MLPVAE(decoder="gaussian", variance="learned", sigma=0.5)
    assert model.players() == {"vae": ("encoder", "decoder", "log_sigma")}
    assert model.networks(POINTS)["log_sigma"]().item() == pytest.approx(math.log(0.5))
    assert MLPVAE(variance="learned").players() == {"vae": ("encoder", "decoder")}


@pytest.mark.parametrize("size", [16, 28, 32, 64])
def test_conv_vae_takes_these_sizes(size):
    spec = DataSpec((2, size, size))
    _, nets = made(ConvVAE(width=2, latent=3), spec)
    assert nets["encoder"](normal(2, 2, size, size)).shape == (2, 6)
    assert nets["decoder"](normal(2, 3)).shape == (2, 2, size, size)


@pytest.mark.parametrize(
    ("model", "spec", "words"),
    [
        (MLPVAE(), POINTS, "decoder = 'gaussian'"),
        (ConvVAE(), DIGITS, "16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
        (VAEGAN(net="conv"), POINTS, "16 x 16, 28 x 28, 32 x 32 or 64 x 64"),
    ],
)
def test_data_that_do_not_fit_get_one_sentence(model, spec, words):
    with pytest.raises(BadInput, match=words) as caught:
        model.networks(spec)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (MLPVAE, {"particles": 0}),
        (MLPVAE, {"variance": "each"}),
        (ConvVAE, {"sigma": -1.0}),
        (VAEGAN, {"net": "resnet"}),
        (VAEGAN, {"gamma": -1.0}),
        (BetaVAE, {"beta": -1.0}),
        (InfoVAE, {"kernel": "linear"}),
        (InfoVAE, {"scale": 0.0}),
        (KLAnnealing, {"start": 1.5}),
        (CyclicalAnnealing, {"proportion": 0.0}),
        (CyclicalAnnealing, {"cycles": 0}),
    ],
)
def test_senseless_options_are_refused(cls, options):
    with pytest.raises(BadInput):
        create(cls, options)


# -- beta-VAE and free bits

OUT = {
    "log_likelihood": torch.tensor([-10.0, -20.0], dtype=DOUBLE),
    "kl": torch.tensor([3.0, 5.0], dtype=DOUBLE),
    "kl_dimensions": torch.tensor([[2.9, 0.1], [4.8, 0.2]], dtype=DOUBLE),
}


def test_beta_weighs_the_kl():
    assert BetaVAE().vae(OUT).item() == 4 * 4 + 15
    assert BetaVAE(beta=1.0).vae(OUT) == ELBO().vae(OUT)


def test_free_bits_are_free():
    kl = OUT["kl_dimensions"].clone().requires_grad_()
    value = FreeBits(floor=0.5).vae(OUT | {"kl_dimensions": kl})
    assert value.item() == pytest.approx(3.85 + 0.5 + 15, rel=1e-12)
    (slope,) = torch.autograd.grad(value, kl)
    assert slope.tolist() == [[0.5, 0.0], [0.5, 0.0]]
    # averaged before compared: neither of .1 and .2 matters on its own
    assert FreeBits(floor=0.12).vae(OUT).item() == pytest.approx(3.85 + 0.15 + 15, rel=1e-12)
    assert FreeBits(floor=0.0).vae(OUT).item() == pytest.approx(ELBO().vae(OUT).item(), rel=1e-12)


# -- importance weights


def linear_gaussian(particles, tilt=0.0):
    """A VAE whose posterior is exact where `tilt` is 0, and (batch, log p(x))."""
    sigma = 0.4
    model = MLPVAE(hidden=(), latent=2, decoder="gaussian", sigma=sigma, particles=particles)
    spec = DataSpec((3,))
    modules, nets = made(model, spec)
    # columns at right angles, so that the posterior's covariance is diagonal
    loading = torch.tensor([[1.0, 0.5], [1.0, -0.5], [0.5, 0.0]], dtype=DOUBLE)
    bias = torch.tensor([0.3, -0.2, 0.1], dtype=DOUBLE)
    variance = 1 / (1 + loading.square().sum(0) / sigma**2)
    gain = variance[:, None] * loading.T / sigma**2
    weights = {
        "decoder": (loading, bias),
        "encoder": (
            torch.cat([gain, torch.zeros(2, 3, dtype=DOUBLE)]),
            torch.cat([-gain @ bias + tilt, variance.log() + tilt]),
        ),
    }
    for name, (weight, offset) in weights.items():
        (layer,) = (part for part in modules[name].modules() if isinstance(part, torch.nn.Linear))
        layer.weight.data, layer.bias.data = weight, offset
    batch = batch_of(model, spec, n=300)
    covariance = loading @ loading.T + sigma**2 * torch.eye(3, dtype=DOUBLE)
    exact = stats.multivariate_normal.logpdf(batch["data"], bias, covariance)
    return model.play("vae", nets, batch), exact


def test_weights_under_the_exact_posterior_are_the_marginal_likelihood():
    out, exact = linear_gaussian(particles=7)
    equal(out["log_weights"], np.broadcast_to(exact, (7, 300)))
    equal(IWAE().vae(out), -exact.mean())


def test_one_particle_is_the_elbo_with_a_sampled_kl():
    out, _ = linear_gaussian(particles=1, tilt=0.5)
    mean, deviation = out["mean"], (out["log_variance"] / 2).exp()
    kl = D.Normal(mean, deviation).log_prob(out["code"]) - D.Normal(0.0, 1.0).log_prob(out["code"])
    equal(IWAE().vae(out), (kl.sum(1) - out["log_likelihood"]).mean())


def test_more_particles_are_a_tighter_bound():
    out, exact = linear_gaussian(particles=64, tilt=0.5)
    weights = out["log_weights"]
    bounds = [
        torch.stack([IWAE().vae({"log_weights": part}) for part in weights.split(k)]).mean().item()
        for k in (1, 4, 16, 64)
    ]
    assert all(loose > tight + 0.005 for loose, tight in itertools.pairwise(bounds))
    assert bounds[0] - bounds[-1] > 0.2
    assert 0 < bounds[-1] + exact.mean() < 0.1
    elbo = ELBO().vae(out).item()  # over 300 x 64 codes it differs from the sampled one by noise
    assert elbo == pytest.approx(bounds[0], abs=0.02)


# -- the KL term taken apart


def test_the_parts_add_up_to_the_sampled_kl():
    out, _ = linear_gaussian(particles=1, tilt=0.5)
    kl = (out["log_likelihood"] - out["log_weights"][0]).mean()
    equal(torch.stack(terms(out["code"], out["mean"], out["log_variance"])).sum(), kl)
    whole = BetaTC(alpha=1.0, beta=1.0, gamma=1.0).vae(out)
    equal(whole, kl - out["log_likelihood"].mean())
    equal(whole, IWAE().vae(out))


def test_the_parts_are_those_of_a_loop():
    mean, log_variance = normal(5, 3), normal(5, 3, seed=1)
    code = mean + (log_variance / 2).exp() * normal(5, 3, seed=2)
    z, m, s = code.numpy(), mean.numpy(), (log_variance / 2).exp().numpy()
    density = lambda i, j: stats.norm.pdf(z[i], m[j], s[j])  # noqa: E731
    information = correlation = dimensions = 0.0
    for i in range(5):
        joint = np.log(np.mean([density(i, j).prod() for j in range(5)]))
        apart = np.log(np.mean([density(i, j) for j in range(5)], axis=0)).sum()
        information += (np.log(density(i, i)).sum() - joint) / 5
        correlation += (joint - apart) / 5
        dimensions += (apart - stats.norm.logpdf(z[i]).sum()) / 5
    for ours, theirs in zip(
        terms(code, mean, log_variance), (information, correlation, dimensions), strict=True
    ):
        equal(ours, theirs)
    out = {"code": code, "mean": mean, "log_variance": log_variance, "log_likelihood": OUT["log_likelihood"]}
    expected = 0.5 * information + 6 * correlation + 2 * dimensions + 15
    equal(BetaTC(alpha=0.5, gamma=2.0).vae(out), expected)


def test_the_parts_of_a_gaussian_aggregate():
    """Means from N(0, M) and variances s: the aggregate is N(0, M + s), whose parts are known."""
    spread, s = np.array([[1.0, 0.8], [0.8, 1.5]]), np.array([0.3, 0.2])
    mean = normal(2000, 2) @ torch.linalg.cholesky(torch.from_numpy(spread)).T
    log_variance = torch.from_numpy(np.log(s)).expand(2000, 2)
    code = mean + (log_variance / 2).exp() * normal(2000, 2, seed=1)
    whole = spread + np.diag(s)
    entropy, sides = np.log(np.linalg.det(whole)) / 2, np.log(np.diag(whole)) / 2
    expected = (
        entropy - np.log(s).sum() / 2,
        sides.sum() - entropy,
        ((np.diag(whole) - 1) / 2 - sides).sum(),
    )
    for ours, theirs in zip(terms(code, mean, log_variance), expected, strict=True):
        assert ours.item() == pytest.approx(theirs, abs=0.05)
    assert expected[1] > 0.14  # what would be missed if nothing were measured


# -- maximum mean discrepancy

KERNELS = {"imq": lambda square, c: c / (c + square), "rbf": lambda square, c: math.exp(-square / c)}


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_that_of_a_double_loop(kernel):
    x, y, scale = normal(6, 3) + 1, normal(6, 3, seed=1), 0.7
    k = lambda a, b: KERNELS[kernel](float(((a - b) ** 2).sum()), 2 * 3 * scale**2)  # noqa: E731
    pairs = [(i, j) for i in range(6) for j in range(6)]
    within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs if i != j) / 30
    expected = within - 2 * sum(k(x[i], y[j]) for i, j in pairs) / 36
    equal(mmd(x, y, kernel, scale), expected)
    out = OUT | {"code": x, "prior": y}
    loss = InfoVAE(weight=3.0, kl_weight=0.5, kernel=kernel, scale=scale)
    equal(loss.vae(out), 0.5 * 4 + 15 + 3 * expected)


def test_mmd_of_gaussians_is_the_closed_form():
    """E exp(-d^2 / c) = prod (1 + 2 v / c)^-1/2 exp(-m^2 / (c + 2 v)) where d ~ N(m, v) in each number."""
    c, shift, deviation = 4.0, 0.5, 1.5  # c = 2 x 2 numbers x scale 1

    def expected(m, v):
        return math.exp(-2 * m**2 / (c + 2 * v)) / (1 + 2 * v / c)

    exact = expected(0, 2 * deviation**2) + expected(0, 2) - 2 * expected(shift, 1 + deviation**2)
    batches = [
        (shift + deviation * normal(100, 2, seed=k), normal(100, 2, seed=1000 + k)) for k in range(200)
    ]
    found = torch.stack([mmd(x, y, "rbf") for x, y in batches])
    error = found.std() / len(found) ** 0.5
    assert exact > 20 * error
    assert abs(found.mean() - exact) < 4 * error
    same = torch.stack([mmd(normal(100, 2, seed=k), y, "rbf") for k, (_, y) in enumerate(batches)])
    assert abs(same.mean()) < 4 * same.std() / len(same) ** 0.5  # unbiased: nothing where there is nothing


def test_mmd_of_one_code_is_refused():
    with pytest.raises(BadInput, match="batch must be at least 2"):
        InfoVAE().vae(OUT | {"code": normal(1, 2), "prior": normal(1, 2)})


# -- extreme values


class Told:
    """Networks that say what they are told to."""

    def __init__(self, posterior, decoded):
        self.said = {"encoder": posterior, "decoder": decoded}

    def __getitem__(self, name):
        said = self.said[name]
        return (lambda x: said) if name == "encoder" else lambda z: said + 0 * z[:, :1]


@pytest.mark.parametrize("loss", VARIATIONAL)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_all_is_finite_at_extremes(loss, dtype, decoder):
    posterior = torch.tensor([[0.0, -50.0, 20.0, -20.0], [3.0, 50.0, -20.0, 20.0]], dtype=dtype)
    logits = torch.tensor([[-100.0, 100.0], [100.0, 0.0]] * 3, dtype=dtype)
    leaves = [posterior.requires_grad_(), logits.requires_grad_()]
    model = MLPVAE(latent=2, particles=3, decoder=decoder)
    noise = normal(3, 2, 2, dtype=dtype)
    batch = {"data": torch.tensor([[1.0, -1.0], [0.2, 1.0]], dtype=dtype), "noise": noise, "prior": noise[0]}
    out = model.play("vae", Told(*leaves), batch)
    value = VARIATIONAL[loss]().vae(out)
    gradients = torch.autograd.grad(value, leaves)
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients)
    nans = {name: out[name] * torch.nan for name in ("log_likelihood", "log_weights")}
    assert VARIATIONAL[loss]().vae(out | nans).isnan()


# -- annealing


@pytest.mark.parametrize(
    ("technique", "weights"),
    [
        (KLAnnealing().within(8), {1: 0.0, 2: 0.25, 4: 0.75, 5: 1.0, 8: 1.0}),
        (KLAnnealing(start=0.5, steps=2).within(8), {1: 0.5, 2: 0.75, 3: 1.0, 8: 1.0}),
        (KLAnnealing().within(1), {1: 0.0}),
        (
            CyclicalAnnealing().within(32),  # a cycle is 8 steps, of which 4 rise
            {1: 0.0, 2: 0.25, 4: 0.75, 5: 1.0, 8: 1.0, 9: 0.0, 11: 0.5, 17: 0.0, 32: 1.0},
        ),
        (CyclicalAnnealing(cycles=2, proportion=1.0).within(8), {1: 0.0, 3: 0.5, 4: 0.75, 5: 0.0}),
        (CyclicalAnnealing(cycles=3).within(7), {1: 0.0, 2: 2 / 3, 3: 1.0, 4: 0.0, 7: 0.0}),
    ],
)
def test_weights_of_the_kl_term(technique, weights):
    for step, weight in weights.items():
        assert technique.weight(torch.tensor(float(step), dtype=DOUBLE)).item() == pytest.approx(weight)


@pytest.mark.parametrize("loss", [ELBO(), BetaVAE(), FreeBits(floor=0.1)])
def test_annealing_scales_the_kl_that_losses_read(loss):
    objective = KLAnnealing(steps=4).objective(lambda player, nets, batch, out: loss.vae(out))
    quarter = objective("vae", None, {"step": torch.tensor(2.0, dtype=DOUBLE)}, OUT)
    scaled = {name: OUT[name] / 4 for name in ("kl", "kl_dimensions")}
    assert quarter == loss.vae(OUT | scaled)
    assert quarter != loss.vae(OUT)
    assert objective("vae", None, {"step": torch.tensor(5.0, dtype=DOUBLE)}, OUT) == loss.vae(OUT)


def test_annealing_wants_a_kl_term():
    for cls in (KLAnnealing, CyclicalAnnealing):
        fitting = [name for name, loss in VARIATIONAL.items() if cls().fits(MLPVAE(), loss()) is None]
        assert sorted(fitting) == ["beta-vae", "elbo", "free-bits"]
        assert "hinge" in cls().fits(MLPGAN(), Hinge())
        assert "iwae" in cls().fits(MLPVAE(), IWAE())
    assert KLAnnealing.conflicts == (CyclicalAnnealing.name,)
    assert CyclicalAnnealing.conflicts == (KLAnnealing.name,)
    assert {KLAnnealing, CyclicalAnnealing} <= set(techniques.ALL)


# -- VAE/GAN


@pytest.mark.parametrize("model", [VAEGAN(hidden=(5, 4), latent=3), VAEGAN(net="conv", width=2, latent=3)])
def test_vae_gan_plays_what_the_paper_says(model):
    modules, nets = made(model, IMAGES, scale=2.0)
    batch = batch_of(model, IMAGES)
    outs = {player: model.play(player, model.conditioned(nets, batch), batch) for player in model.players()}
    mean, log_variance = modules["encoder"](batch["data"]).chunk(2, dim=1)
    rebuilt = modules["generator"](mean + (log_variance / 2).exp() * batch["noise"])
    fake = modules["generator"](batch["prior"])
    judge = modules["discriminator"]
    features = [judge.body(x) for x in (batch["data"], rebuilt)]
    error = (features[0] - features[1]).square().sum(1) / 2
    kl = D.kl_divergence(D.Normal(mean, (log_variance / 2).exp()), D.Normal(0.0, 1.0)).sum(1)

    assert error.min() > 0
    equal(model.terms("encoder", outs["encoder"]), (kl + error).mean())
    equal(model.terms("generator", outs["generator"]), error.mean())
    assert model.terms("discriminator", outs["discriminator"]) is None
    assert not hasattr(Minimax, "encoder")
    for player in ("generator", "discriminator"):
        equal(outs[player]["fake"], fake)
        equal(outs[player]["fake_logits"], judge.head(torch.cat([features[1], judge.body(fake)])))
    equal(outs["discriminator"]["real_logits"], judge.head(features[0]).repeat(2, 1))
    assert "real_logits" not in outs["generator"]


def test_vae_gan_shows_its_reconstructions():
    model = VAEGAN(hidden=(5,), latent=3)
    modules, nets = made(model, DIGITS)
    batch = batch_of(model, DIGITS) | {"prior": normal(4, 3)}
    shown = model.inspect(nets, batch)
    assert set(shown) == set(model.shows)
    equal(shown["reconstruction"], modules["generator"](shown["mean"]))
    equal(torch.cat([shown["mean"], shown["log_variance"]], 1), modules["encoder"](batch["data"]))
    equal(model.sample(nets, batch), modules["generator"](batch["prior"]))


def test_without_hidden_layers_the_features_are_the_sample():
    modules, _ = made(VAEGAN(hidden=(), latent=2), POINTS)
    x = normal(3, 2)
    equal(modules["discriminator"](x)[:, 1:], x)


# -- training

SGD = {"name": "sgd", "lr": 1e-3}
STACKS = {
    "iwae": ("mlp-vae", "iwae", (), {"hidden": [6], "latent": 2, "particles": 3}),
    "learned": ("mlp-vae", "elbo", (), {"latent": 2, "decoder": "gaussian", "variance": "learned"}),
    "rbf": ("mlp-vae", "info-vae", (), {"hidden": [6], "latent": 2}),
    "annealed free bits": ("mlp-vae", "free-bits", ("cyclical-annealing",), {"hidden": [6], "latent": 2}),
    "conv-vae": ("conv-vae", "beta-tc", ("kl-annealing",), {"width": 2, "latent": 2, "particles": 2}),
    "vae-gan": ("vae-gan", "minimax", ("r1", "instance-noise"), {"net": "conv", "width": 2, "latent": 2}),
    "vae-gan in pairs": ("vae-gan", "relativistic", ("wgan-gp", "ema"), {"hidden": [6], "latent": 2}),
    "vae-gan by features": ("vae-gan", "hinge", ("feature-matching", "spectral-norm"), {"latent": 2}),
}


@pytest.mark.parametrize(("model", "loss", "names", "options"), STACKS.values(), ids=STACKS)
def test_loop_equals_map(builtins, model, loss, names, options):
    images = normal(24, 1, 16, 16).tanh()
    data = Data(train=images, test=images[:2])
    players = tuple(create(builtins.get("model", model).cls, options).players())
    chosen = {model: options, "info-vae": {"kernel": "rbf", "kl_weight": 1.0}}
    config = variant(model, loss, names, chosen, SGD, players, batch=6, steps=20)
    program, runs = Program(config, builtins, data), Runs((0, 1), ({}, {}))
    looped = Looped(program, runs, data, torch.device("cpu"))
    mapped = Mapped(program, runs, data, torch.device("cpu"), Eager())
    rows, mapped_rows = looped.advance(3), mapped.advance(3)
    torch.testing.assert_close(rows, mapped_rows, rtol=1e-9, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(looped.state(), mapped.state(), rtol=1e-9, atol=1e-9)
    assert looped.died() == [0, 0]
    start = program.initial(0, {}).joint
    assert all((flat[0] - start[player]).norm() > 1e-7 for player, flat in looped.state().joint.items())


def test_every_player_of_vae_gan_has_an_objective_of_its_own(builtins):
    """The loss has no encoder: its terms alone are lowered; and pairing changes the generator's out."""
    images = normal(24, 1, 16, 16).tanh()
    config = variant(
        "vae-gan", "relativistic", (), {"vae-gan": {"latent": 2}}, SGD, tuple(VAEGAN().players())
    )
    program = Program(config, builtins, Data(train=images, test=images[:2]))
    state = program.initial(0, {})
    batch = draw(program.draws(), 0, "batch", DOUBLE) | {"data": images[:8]}
    nets = Nets(program.modules, program.layout.parameters(state.joint), state.buffers)
    game, *_ = program.bound({})
    for player in program.model.players():
        value, _ = game.value(player, nets, batch | {"step": torch.ones((), dtype=DOUBLE)})
        out = program.model.play(player, program.model.conditioned(nets, batch), batch)
        expected = program.model.terms(player, out)
        own = {} if player == "encoder" else {player: getattr(Relativistic(), player)(out)}
        equal(value, own.get(player, 0.0) + (0.0 if expected is None else expected))


def test_a_vae_of_points_finds_the_ring(builtins):
    """Its Gaussian decoder learns how far points are from what it draws."""
    data = builtins.get("dataset", "ring").cls(size=2000).load(None)
    options = {"hidden": [32], "latent": 2, "decoder": "gaussian", "variance": "learned", "sigma": 0.3}
    optimizer = {"name": "adam", "lr": 3e-3}
    config = variant("mlp-vae", "elbo", (), {"mlp-vae": options}, optimizer, ("vae",), batch=64, steps=1280)
    program = Program(config, builtins, data)
    run = Looped(program, Runs((0,), ({},)), data, torch.device("cpu"))
    drawn = draw(program.model.sample_draws(program.spec, 1000), 0, "samples", DOUBLE)

    def far():
        """Mean distance of the samples' radii from the ring's."""
        state = run.state()
        joint = {player: flat[0] for player, flat in state.joint.items()}
        samples = Sampler(program).sample(joint, {net: {} for net in program.modules}, drawn)
        sigma = program.layout.parameters(joint)["log_sigma"]["value"].exp().item()
        return (samples.norm(dim=1) - 1).abs().mean().item(), sigma

    before, start = far()
    for _ in range(20):
        run.advance(64)
    after, sigma = far()
    assert start == pytest.approx(0.3)
    assert sigma < 0.2
    assert after < before / 4
