from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit
from toys import variant

from ganbench.components.base import create
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench_builtin.losses.relativistic import Relativistic
from ganbench_builtin.losses.relativistic_average import RelativisticAverage

DOUBLE = torch.float64
LINKS = ("logistic", "least-squares", "hinge")
BOTH = (Relativistic, RelativisticAverage)
PLAYERS = ("discriminator", "generator")

logit = st.floats(-100, 100)
pair = st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(logit, min_size=n, max_size=n)] * 2))

# Of a lead: what it costs, and the derivative of that.
COST = {
    "logistic": lambda d: np.logaddexp(0, -d),
    "least-squares": lambda d: (d - 1) ** 2,
    "hinge": lambda d: np.maximum(0, 1 - d),
}
SLOPE = {
    "logistic": lambda d: -expit(-d),
    "least-squares": lambda d: 2 * (d - 1),
    "hinge": lambda d: -(d < 1).astype(float),
}


def pairing(link, ahead, behind):
    """Value, and gradients with respect to both, of the paper's RSGAN and its kin."""
    lead = ahead - behind
    slope = SLOPE[link](lead) / len(lead)
    return COST[link](lead).mean(), slope, -slope


def average(link, ahead, behind):
    """The same of RaSGAN and its kin: either side against the other's mean."""
    above, below = ahead - behind.mean(), ahead.mean() - behind
    first, second = SLOPE[link](above) / len(above), SLOPE[link](below) / len(below)
    value = COST[link](above).mean() + COST[link](below).mean()
    return value, first + second.mean(), -(second + first.mean())


FORMULA = {Relativistic: pairing, RelativisticAverage: average}


def evaluate(cls, link, player, real, fake, dtype=DOUBLE):
    tensors = [torch.tensor(x, dtype=dtype)[:, None].requires_grad_() for x in (real, fake)]
    value = getattr(cls(link=link), player)(dict(zip(("real_logits", "fake_logits"), tensors, strict=True)))
    return value, [g[:, 0] for g in torch.autograd.grad(value, tensors)]


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
@given(logits=pair)
def test_value_and_gradients_are_the_formulas(cls, link, player, logits):
    real, fake = map(np.array, logits)
    ahead, behind = (real, fake) if player == "discriminator" else (fake, real)
    if link == "hinge":  # at the kink rounding decides
        leads = ahead - behind, ahead - behind.mean(), ahead.mean() - behind
        assume(min(np.abs(lead - 1).min() for lead in leads) > 1e-9)
    value, to_ahead, to_behind = FORMULA[cls](link, ahead, behind)
    got, gradients = evaluate(cls, link, player, *logits)
    # the logistic's smallest gradients are right to the last digits: no absolute tolerance
    tolerance = {"rtol": 1e-11, "atol": 0.0 if link == "logistic" else 1e-11}
    np.testing.assert_allclose(got.item(), value, **tolerance)
    expected = (to_ahead, to_behind) if player == "discriminator" else (to_behind, to_ahead)
    for gradient, formula in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient.numpy(), formula, **tolerance)


@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
@pytest.mark.parametrize("player", PLAYERS)
@given(real=logit, fake=logit)
def test_the_logistic_link_is_finite_in_float32(cls, player, real, fake):
    value, gradients = evaluate(cls, "logistic", player, [real], [fake], torch.float32)
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)
    reference, exact = evaluate(cls, "logistic", player, [real], [fake])
    torch.testing.assert_close(value, reference.float(), rtol=1e-4, atol=1e-6)
    for g, e in zip(gradients, exact, strict=True):
        torch.testing.assert_close(g, e.float(), rtol=1e-4, atol=1e-6)


def test_a_pair_is_of_one_sample_each():
    # pairs in another order are other pairs; of an average they are the same
    real, fake = [0.0, 4.0], [1.0, -3.0]
    for cls, same in ((Relativistic, False), (RelativisticAverage, True)):
        values = [evaluate(cls, "logistic", "discriminator", real, f)[0] for f in (fake, fake[::-1])]
        assert torch.isclose(*values, rtol=1e-12, atol=0).item() is same


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
@given(logits=pair, shift=logit)
def test_only_differences_count(cls, link, logits, shift):
    assert not cls.has_boundary
    assert cls.pairs
    real, fake = map(np.array, logits)
    for player in PLAYERS:
        value, _ = evaluate(cls, link, player, real, fake)
        shifted, _ = evaluate(cls, link, player, real + shift, fake + shift)
        torch.testing.assert_close(shifted, value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
def test_a_nan_is_not_hidden(cls, link):
    for player in PLAYERS:
        for real, fake in (([math.nan, 1.0], [0.0, 0.0]), ([0.0, 0.0], [math.nan, 1.0])):
            assert evaluate(cls, link, player, real, fake)[0].isnan()


@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
def test_shape_of_logits_does_not_matter(cls):
    real, fake = torch.linspace(-3, 3, 12, dtype=DOUBLE), torch.linspace(-1, 2, 12, dtype=DOUBLE)
    for player in PLAYERS:
        values = [
            getattr(cls(), player)({"real_logits": real.view(shape), "fake_logits": fake.view(shape)})
            for shape in ((12,), (12, 1), (3, 1, 2, 2))
        ]
        assert values[0].shape == ()
        torch.testing.assert_close(values[0], values[1])
        torch.testing.assert_close(values[0], values[2])


@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
def test_an_unknown_link_is_refused(cls):
    with pytest.raises(BadInput, match="logistic"):
        create(cls, {"link": "logit"}, cls.name)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)
def test_a_stack_is_its_runs(builtins, cls, link):
    data = create(builtins.get("dataset", "ring").cls, {"size": 100}).load(None)
    options = {"mlp-gan": {"hidden": [8, 8]}, cls.name: {"link": link}}
    # Adam divides by sqrt(v) + eps: a small eps blows the rounding of tiny gradients up, by CPU more or less
    adam = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 1e-3}
    players = ("generator", "discriminator")
    config = variant("mlp-gan", cls.name, options=options, players=players, batch=8, optimizer=adam)
    made, runs, device = Program(config, builtins, data), Runs((0, 1), ({}, {})), torch.device("cpu")
    looped, mapped = Looped(made, runs, data, device), Mapped(made, runs, data, device, Eager())
    torch.testing.assert_close(looped.advance(3), mapped.advance(3), rtol=1e-10, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(looped.state(), mapped.state(), rtol=1e-10, atol=1e-10)
    start = made.initial(0, {}).joint
    assert all((flat[0] - start[player]).norm() > 1e-6 for player, flat in looped.state().joint.items())
