from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions as D

from ganbench.components.data import DataSpec
from ganbench.game.nets import Nets
from ganbench_builtin.losses import ALL
from ganbench_builtin.losses.elbo import ELBO
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.losses.least_squares import LeastSquares
from ganbench_builtin.losses.minimax import Minimax
from ganbench_builtin.losses.non_saturating import NonSaturating
from ganbench_builtin.losses.wasserstein import Wasserstein
from ganbench_builtin.models.mlp_vae import MLPVAE

DOUBLE = torch.float64
logit = st.floats(-100, 100)
logits = st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(logit, min_size=n, max_size=n)] * 2))


def softplus(x: float) -> float:
    """log(1 + e^x), by hand."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def step(x: float) -> float:
    return 1.0 if x > 0 else 0.0


# Of a real and a fake logit: the discriminator's value and its two derivatives, the generator's and its one.
CLOSED = {
    Minimax: (
        lambda r, f: softplus(-r) + softplus(f),
        lambda r: -sigmoid(-r),
        sigmoid,
        lambda f: -softplus(f),
        lambda f: -sigmoid(f),
    ),
    NonSaturating: (
        lambda r, f: softplus(-r) + softplus(f),
        lambda r: -sigmoid(-r),
        sigmoid,
        lambda f: softplus(-f),
        lambda f: -sigmoid(-f),
    ),
    Wasserstein: (lambda r, f: f - r, lambda r: -1.0, lambda f: 1.0, lambda f: -f, lambda f: -1.0),
    LeastSquares: (
        lambda r, f: ((r - 1) ** 2 + f**2) / 2,
        lambda r: r - 1,
        lambda f: f,
        lambda f: (f - 1) ** 2 / 2,
        lambda f: f - 1,
    ),
    Hinge: (
        lambda r, f: max(0.0, 1 - r) + max(0.0, 1 + f),
        lambda r: -step(1 - r),
        lambda f: step(1 + f),
        lambda f: -f,
        lambda f: -1.0,
    ),
}
by_name = pytest.mark.parametrize("cls", CLOSED, ids=lambda cls: cls.name)


def test_every_adversarial_loss_is_covered():
    relative = {"relativistic", "relativistic-average"}  # in test_relativistic.py
    assert {cls for cls in ALL if cls.family == "adversarial" and cls.name not in relative} == set(CLOSED)
    assert {cls.name for cls in ALL if not cls.has_boundary} == {"wasserstein", *relative}


def evaluate(cls, player, real, fake, dtype=DOUBLE):
    """Value, and gradients with respect to the real and the fake logits (B x 1)."""
    tensors = [torch.tensor(x, dtype=dtype)[:, None].requires_grad_() for x in (real, fake)]
    value = getattr(cls(), player)(dict(zip(("real_logits", "fake_logits"), tensors, strict=True)))
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    return value, [None if g is None else g[:, 0] for g in gradients]


def mean(function, *columns):
    return sum(map(function, *columns)) / len(columns[0])


def close(ours, numbers, tolerance=1e-12):
    torch.testing.assert_close(ours, torch.tensor(numbers, dtype=ours.dtype), rtol=tolerance, atol=tolerance)


@by_name
@given(pair=logits)
def test_value_and_gradient_are_the_closed_forms(cls, pair):
    real, fake = pair
    value, real_slope, fake_slope, generator, generator_slope = CLOSED[cls]
    n = len(real)
    logistic = cls in (Minimax, NonSaturating)
    # torch takes softplus(x) for x beyond 20, where it is off by less than e^-20
    tolerance = 2.1e-9 if logistic and max(map(abs, real + fake)) > 20 else 1e-12
    got, (to_real, to_fake) = evaluate(cls, "discriminator", real, fake)
    close(got, mean(value, real, fake), tolerance)
    close(to_real, [real_slope(r) / n for r in real], tolerance)
    close(to_fake, [fake_slope(f) / n for f in fake], tolerance)
    got, (to_real, to_fake) = evaluate(cls, "generator", real, fake)
    close(got, mean(generator, fake), tolerance)
    assert to_real is None
    close(to_fake, [generator_slope(f) / n for f in fake], tolerance)


@by_name
@pytest.mark.parametrize("player", ["discriminator", "generator"])
@given(real=logit, fake=logit)
def test_all_is_finite_in_float32(cls, player, real, fake):
    value, gradients = evaluate(cls, player, [real], [fake], torch.float32)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients if g is not None)


@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
def test_the_non_saturating_gradient_does_not_saturate(dtype):
    # with log(sigmoid(x) + 1e-8) it would be -.17
    _, (_, gradient) = evaluate(NonSaturating, "generator", [0.0], [-20.0], dtype)
    assert abs(gradient.item() + 1) < 1e-8
    _, (_, gradient) = evaluate(NonSaturating, "generator", [0.0], [-100.0], dtype)
    assert gradient.item() == -1
    _, (_, gradient) = evaluate(Minimax, "generator", [0.0], [-20.0], dtype)
    assert gradient.item() == pytest.approx(-sigmoid(-20.0), rel=1e-5)


@by_name
def test_shape_of_logits_does_not_matter(cls):
    real, fake = torch.linspace(-3, 3, 12, dtype=DOUBLE), torch.linspace(-1, 2, 12, dtype=DOUBLE)
    loss = cls()
    for player in ("discriminator", "generator"):
        values = [
            getattr(loss, player)({"real_logits": real.view(shape), "fake_logits": fake.view(shape)})
            for shape in ((12,), (12, 1), (3, 1, 2, 2))
        ]
        assert values[0].shape == ()
        torch.testing.assert_close(values[0], values[1])
        torch.testing.assert_close(values[0], values[2])


@by_name
def test_a_nan_is_not_hidden(cls):
    value, _ = evaluate(cls, "discriminator", [math.nan, 1.0], [0.0, 0.0])
    assert value.isnan()
    value, _ = evaluate(cls, "generator", [0.0, 0.0], [math.nan, 1.0])
    assert value.isnan()


# -- evidence lower bound


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_elbo_equals_torch_distributions(decoder):
    model = MLPVAE(hidden=(5,), latent=3, decoder=decoder, sigma=0.3)
    nets = model.networks(DataSpec((1, 2, 2)))
    generator = torch.Generator().manual_seed(0)
    for net in nets.values():
        net.to(DOUBLE)
        for parameter in net.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
    data = torch.rand((7, 1, 2, 2), generator=generator, dtype=DOUBLE) * 2 - 1
    noise = torch.randn((7, 3), generator=generator, dtype=DOUBLE)
    called = Nets(nets, {n: dict(net.named_parameters()) for n, net in nets.items()}, {n: {} for n in nets})
    out = model.play("vae", called, {"data": data, "noise": noise[None], "prior": noise})

    mean, log_variance = nets["encoder"](data).chunk(2, dim=1)
    posterior = D.Independent(D.Normal(mean, (log_variance / 2).exp()), 1)
    prior = D.Independent(D.Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    kl = D.kl_divergence(posterior, prior)
    decoded = nets["decoder"](mean + (log_variance / 2).exp() * noise)
    if decoder == "bernoulli":
        pixels = D.Bernoulli(logits=decoded, validate_args=False).log_prob((data + 1) / 2)
    else:
        pixels = D.Normal(decoded, 0.3).log_prob(data)
    log_likelihood = pixels.sum((1, 2, 3))

    torch.testing.assert_close(out["kl"], kl, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(out["log_likelihood"], log_likelihood, rtol=1e-12, atol=1e-12)
    expected = -(log_likelihood - kl).mean()
    torch.testing.assert_close(ELBO().vae(out), expected, rtol=1e-12, atol=1e-12)


def test_elbo_is_in_nats_a_sample():
    out = {"kl": torch.tensor([1.0, 3.0]), "log_likelihood": torch.tensor([-10.0, -20.0])}
    assert ELBO().vae(out).item() == 17.0
