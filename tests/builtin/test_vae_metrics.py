"""Metrics of VAEs against a linear-Gaussian VAE, of which everything is known, and against Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganbench.components.base import create
from ganbench.components.data import Data, DataSpec
from ganbench.components.kinds import Evaluation
from ganbench.errors import BadInput
from ganbench.game.draws import draw, isolated_rng, stream
from ganbench.game.nets import Nets, named_buffers, purified
from ganbench_builtin.metrics.active_units import ActiveUnits
from ganbench_builtin.metrics.decoder_variance import DecoderVariance
from ganbench_builtin.metrics.mutual_information import MutualInformation
from ganbench_builtin.metrics.nll import NLL
from ganbench_builtin.metrics.posterior_width import PosteriorWidth
from ganbench_builtin.metrics.rate_distortion import RateDistortion
from ganbench_builtin.metrics.variance_ratio import VarianceRatio
from ganbench_builtin.models.mlp_vae import MLPVAE

DOUBLE = torch.float64
N = 4000
LOADINGS = torch.tensor([[1.5, 0.0, 0.0], [0.0, 0.5, 0.0]], dtype=DOUBLE)  # two used codes, one unused
NOISE = 0.3


def normal(*shape, seed=0):
    return torch.randn(shape, generator=stream("cpu", seed, "normal", *shape), dtype=DOUBLE)


def linear_gaussian(particles=1):
    """What a VAE shows whose decoder is x = W z + noise, and whose posterior is exact."""
    data = normal(N, 3) @ LOADINGS.T + NOISE * normal(N, 2, seed=1)
    precision = torch.eye(3, dtype=DOUBLE) + LOADINGS.T @ LOADINGS / NOISE**2  # diagonal here
    variance = 1 / precision.diagonal()
    mean = data @ LOADINGS / NOISE**2 * variance
    codes = mean + variance.sqrt() * normal(particles, N, 3, seed=2)
    likelihood = gaussian(data, codes @ LOADINGS.T, torch.tensor(NOISE**2, dtype=DOUBLE))
    posterior = gaussian(codes, mean, variance)
    prior = gaussian(codes, torch.zeros(3), torch.ones(3, dtype=DOUBLE))
    return data, {
        "mean": mean,
        "log_variance": variance.log().expand(N, 3),
        "log_likelihood": likelihood.mean(0),
        "log_weights": likelihood + prior - posterior,
    }


def gaussian(x, mean, variance):
    return (-((x - mean) ** 2 / variance + variance.log() + math.log(2 * math.pi)) / 2).sum(-1)


def measure(metric, shown, samples=None, real=None):
    rows = torch.zeros(2, 1, dtype=DOUBLE)
    evaluation = Evaluation(
        samples=rows if samples is None else samples,
        data=Data(train=rows, test=rows),
        real=lambda n: real[:n],
        features=lambda name, x: x,
        generator=stream("cpu", 0, "metric"),
        point={},
        inspected=lambda: shown,
    )
    return metric.measure(evaluation)


@pytest.fixture(scope="module")
def exact():
    return linear_gaussian()


def test_active_and_silent_units(exact):
    _, shown = exact
    assert measure(ActiveUnits(), shown) == {"active-units": 2, "silent-units": 1}
    wide = create(ActiveUnits, {"threshold": 0.8})  # the second code's mean has a variance of .74
    assert measure(wide, shown)["active-units"] == 1
    nothing = {"mean": torch.zeros(9, 4), "log_variance": torch.zeros(9, 4)}
    assert measure(ActiveUnits(), nothing) == {"active-units": 0, "silent-units": 4}


def test_mutual_information_is_that_of_a_gaussian_channel(exact):
    _, shown = exact
    signal = LOADINGS.square().sum(1) / NOISE**2
    truth = float(torch.log1p(signal).sum() / 2)  # 2.3 nats, far below log 4000
    found = measure(MutualInformation(), shown)
    assert found["mutual-information"] == pytest.approx(truth, abs=0.05)
    assert found["aggregate-gap"] == pytest.approx(0, abs=0.05)  # the aggregate posterior is the prior


def test_mutual_information_saturates_at_log_n():
    shown = {"mean": 100 * normal(50, 2), "log_variance": torch.full((50, 2), -9.0)}
    found = measure(MutualInformation(), shown)
    assert found["mutual-information"] == pytest.approx(math.log(50), rel=1e-6)
    nothing = {"mean": torch.zeros(50, 2), "log_variance": torch.zeros(50, 2)}
    assert measure(MutualInformation(), nothing)["mutual-information"] == pytest.approx(0, abs=1e-12)


def test_aggregate_gap_is_the_kl_of_a_shifted_aggregate():
    """Posteriors that are all N(2, 1) tell nothing, and their mixture is 2 nats from the prior."""
    shown = {"mean": torch.full((100, 1), 2.0), "log_variance": torch.zeros(100, 1)}
    found = measure(MutualInformation(), shown)
    assert found["aggregate-gap"] == pytest.approx(2.0)


def test_rate_and_distortion_add_up_to_the_negative_evidence(exact):
    """The posterior is exact, so the bound is tight: the likelihood of the data under their own Gaussian."""
    data, shown = exact
    found = measure(RateDistortion(), shown)
    covariance = (LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(2, dtype=DOUBLE)).numpy()
    evidence = stats.multivariate_normal(np.zeros(2), covariance).logpdf(data.numpy()).mean()
    assert found["distortion"] + found["rate"] == pytest.approx(-evidence, abs=0.05)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(shown["mean"], (shown["log_variance"] / 2).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    assert found["rate"] == pytest.approx(float(kl.sum(1).mean()))


@pytest.mark.parametrize("particles", [1, 7])
def test_nll_is_exact_under_an_exact_posterior(particles):
    data, shown = linear_gaussian(particles)
    covariance = (LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(2, dtype=DOUBLE)).numpy()
    evidence = stats.multivariate_normal(np.zeros(2), covariance).logpdf(data.numpy()).mean()
    assert measure(NLL(), shown)["nll"] == pytest.approx(-evidence, rel=1e-9)


def test_nll_is_a_mean_of_weights_not_of_their_logarithms():
    shown = {"log_weights": torch.tensor([[0.0], [math.log(3.0)]])}
    assert measure(NLL(), shown)["nll"] == pytest.approx(-math.log(2.0), rel=1e-6)


def test_posterior_width(exact):
    _, shown = exact
    found = measure(PosteriorWidth(), shown)
    assert found["widest"] == pytest.approx(0.0)
    assert found["narrowest"] == pytest.approx(-math.log(1 + 1.5**2 / NOISE**2))


def test_variance_ratio():
    real = normal(N, 2) * torch.tensor([1.0, 3.0])
    found = measure(VarianceRatio(), {}, samples=real / 2, real=real)
    assert found["variance-ratio"] == pytest.approx(0.25)
    assert math.isnan(measure(VarianceRatio(), {}, torch.full((5, 2), math.inf), real)["variance-ratio"])
    assert math.isnan(measure(VarianceRatio(), {}, real, torch.ones(N, 2))["variance-ratio"])


@pytest.mark.parametrize("metric", [ActiveUnits(), MutualInformation(), PosteriorWidth(), RateDistortion()])
def test_what_is_not_finite_is_not_a_number(metric):
    broken = {
        "mean": torch.tensor([[math.nan, 0.0]]),
        "log_variance": torch.zeros(1, 2),
        "log_likelihood": torch.zeros(1),
    }
    assert all(map(math.isnan, measure(metric, broken).values()))
    assert math.isnan(measure(NLL(), {"log_weights": torch.tensor([[math.nan]])})["nll"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"decoder": "gaussian", "sigma": 0.3}, 0.09),
        ({"decoder": "gaussian", "sigma": 0.5, "variance": "learned"}, 0.25),
        ({"decoder": "bernoulli"}, 1.0),
    ],
)
def test_decoder_variance(options, expected):
    """With weights of 0, the learned sigma is still the first one, and every pixel has p = 1/2."""
    model, spec = create(MLPVAE, {"hidden": [3], "latent": 2, **options}), DataSpec((1, 2, 2))
    with isolated_rng(0, "test"):
        modules = {name: purified(net) for name, net in model.networks(spec).items()}
    parameters = {
        name: {k: p if name == "log_sigma" else torch.zeros_like(p) for k, p in net.named_parameters()}
        for name, net in modules.items()
    }
    batch = draw(model.sample_draws(spec, 5), 0, "batch", torch.float32)
    with torch.no_grad():
        shown = model.inspect(
            Nets(modules, parameters, named_buffers(modules)), batch | {"data": torch.rand(5, 1, 2, 2)}
        )
    assert measure(DecoderVariance(), shown)["decoder-variance"] == pytest.approx(expected)


@pytest.mark.parametrize("metric", [ActiveUnits(), NLL(), DecoderVariance()])
def test_a_model_without_a_posterior_is_refused(metric):
    with pytest.raises(BadInput, match="choose a VAE, such as mlp-vae"):
        measure(metric, {})
