"""Techniques that wrap the objective: gradient penalties and their like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import DataSpec
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.errors import BadInput
from ganbench.executors import Eager
from ganbench.game.nets import BoundNets, Nets, named_buffers
from ganbench_builtin.losses.hinge import Hinge
from ganbench_builtin.losses.minimax import Minimax
from ganbench_builtin.losses.non_saturating import NonSaturating
from ganbench_builtin.models.cyclegan import CycleGAN
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.mlp_gan import MLPGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.techniques.dragan import DRAGAN
from ganbench_builtin.techniques.feature_matching import FeatureMatching
from ganbench_builtin.techniques.label_smoothing import LabelSmoothing
from ganbench_builtin.techniques.lecam import LeCam
from ganbench_builtin.techniques.one_sided_gp import OneSidedGP
from ganbench_builtin.techniques.orthogonal_regularisation import OrthogonalRegularisation, overlap
from ganbench_builtin.techniques.r1 import R1
from ganbench_builtin.techniques.r1r2 import R1R2
from ganbench_builtin.techniques.r2 import R2
from ganbench_builtin.techniques.spectral_norm import SpectralNorm
from ganbench_builtin.techniques.wgan_gp import WGANGP
from ganbench_builtin.techniques.zero_centred_gp import ZeroCentredGP

DOUBLE = torch.float64


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def filled(net):
    """The network with weights of its own, in double precision."""
    for i, parameter in enumerate(net.to(DOUBLE).parameters()):
        parameter.data = random(*parameter.shape, seed=i)
    return net


def nets_of(nets, **parameters):
    """Networks at the modules' own parameters, or at those given."""
    named = {name: parameters.get(name, dict(net.named_parameters())) for name, net in nets.items()}
    return Nets(nets, named, named_buffers(nets))


def added(technique, nets, batch, out=None, player="discriminator"):
    """What the technique adds to an objective of 7."""
    objective = technique.objective(lambda player, nets, batch, out: torch.tensor(7.0, dtype=DOUBLE))
    return objective(player, nets, batch, out or {}) - 7


def slopes(net, x, h=1e-5):
    """Each sample's gradient by finite differences, B x numbers."""
    flat = x.flatten(1)
    columns = []
    for i in range(flat.shape[1]):
        step = torch.zeros_like(flat)
        step[:, i] = h
        columns.append((net((flat + step).view(x.shape)) - net((flat - step).view(x.shape))) / (2 * h))
    return torch.cat(columns, dim=1).detach().numpy()


class Reads(dict):
    """A mapping that remembers what was read."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.read = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)


# -- gradient penalties

REAL, FAKE = random(5, 1, 2, 3, seed=10), random(5, 1, 2, 3, seed=11)
MIX = torch.tensor([0.0, 0.25, 0.5, 0.7, 0.99], dtype=DOUBLE)
NOISE = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(12), dtype=DOUBLE)
BATCH = {
    "data": REAL,
    "dragan/noise": NOISE,
    **{f"{name}/mix": MIX for name in ("wgan-gp", "one-sided-gp", "zero-centred-gp", "dragan")},
}


def curved():
    net = filled(nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)))
    net[3].weight.data /= 2  # so that some gradients are below 1 and some above
    return net


def between():
    mix = MIX.numpy().reshape(5, 1, 1, 1)
    return torch.from_numpy((1 - mix) * REAL.numpy() + mix * FAKE.numpy())


def around():
    mix = MIX.numpy().reshape(5, 1, 1, 1)
    return torch.from_numpy(REAL.numpy() + mix * 0.5 * np.std(REAL.numpy()) * NOISE.numpy())


def norm(net, x):
    return np.sqrt((slopes(net, x) ** 2).sum(1))


# technique -> what it comes to, by the norms of gradients at points in numpy
PENALTIES = {
    R1(gamma=3.0): lambda net: 1.5 * (norm(net, REAL) ** 2).mean(),
    R2(gamma=3.0): lambda net: 1.5 * (norm(net, FAKE) ** 2).mean(),
    R1R2(gamma=3.0): lambda net: 1.5 * ((norm(net, REAL) ** 2).mean() + (norm(net, FAKE) ** 2).mean()),
    WGANGP(weight=2.0, target=0.7): lambda net: 2 * ((norm(net, between()) - 0.7) ** 2).mean(),
    OneSidedGP(weight=2.0): lambda net: 2 * (np.maximum(0, norm(net, between()) - 1) ** 2).mean(),
    ZeroCentredGP(weight=2.0): lambda net: 2 * (norm(net, between()) ** 2).mean(),
    DRAGAN(weight=2.0): lambda net: 2 * ((norm(net, around()) - 1) ** 2).mean(),
}
each = pytest.mark.parametrize("technique", PENALTIES, ids=lambda t: t.name)


def test_the_curved_discriminator_is_on_both_sides_of_one():
    found = norm(curved(), between())
    assert found.min() < 0.9
    assert found.max() > 1.1


@each
def test_value_equals_finite_differences(technique):
    net = curved()
    found = added(technique, nets_of({"discriminator": net}), BATCH, {"fake": FAKE})
    np.testing.assert_allclose(found.item(), PENALTIES[technique](net), rtol=1e-7)


@each
def test_gradient_in_the_parameters_equals_finite_differences(technique):
    net = curved()
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def value(parameters):
        nets = nets_of({"discriminator": net}, discriminator=parameters)
        return added(technique, nets, BATCH, {"fake": FAKE})

    gradients = torch.func.grad(value)(parameters)
    h = 1e-6
    for name in ("1.weight", "1.bias", "3.weight"):
        direction = random(*parameters[name].shape, seed=5)
        up, down = (value(parameters | {name: parameters[name] + s * h * direction}) for s in (1, -1))
        expected = (up - down) / (2 * h)
        assert abs(expected) > 1e-3
        torch.testing.assert_close((gradients[name] * direction).sum(), expected, rtol=1e-5, atol=0)
    assert gradients["3.bias"].tolist() == [0]  # slopes know nothing of it


LINEAR = {
    "r1": lambda square, weight: (R1(gamma=weight), weight / 2 * square),
    "r2": lambda square, weight: (R2(gamma=weight), weight / 2 * square),
    "r1-r2": lambda square, weight: (R1R2(gamma=weight), weight * square),
    "wgan-gp": lambda square, weight: (WGANGP(weight=weight), weight * (square**0.5 - 1) ** 2),
    "one-sided-gp": lambda square, weight: (OneSidedGP(weight=weight), weight * max(0, square**0.5 - 1) ** 2),
    "zero-centred-gp": lambda square, weight: (ZeroCentredGP(weight=weight), weight * square),
    "dragan": lambda square, weight: (DRAGAN(weight=weight), weight * (square**0.5 - 1) ** 2),
}


def test_every_penalty_is_covered():
    assert list(LINEAR) == [technique.name for technique in PENALTIES]


@pytest.mark.parametrize("name", LINEAR)
@given(weights=st.lists(st.floats(-10, 10), min_size=6, max_size=6), weight=st.floats(0, 100))
def test_of_a_linear_discriminator_it_is_the_closed_form(name, weights, weight):
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).to(DOUBLE)
    net[1].weight.data.copy_(torch.tensor([weights], dtype=DOUBLE))
    technique, expected = LINEAR[name](sum(w * w for w in weights), weight)
    found = added(technique, nets_of({"discriminator": net}), BATCH, {"fake": FAKE})
    # eps under the root: 1e-6 of a norm of 0
    np.testing.assert_allclose(found.item(), expected, rtol=1e-9, atol=3e-6 * weight + 1e-12)


@each
def test_it_is_the_discriminators(technique):
    nets = nets_of({"discriminator": curved()})
    assert added(technique, nets, BATCH, {"fake": FAKE}, player="generator").item() == 0


@each
def test_it_draws_what_it_reads(technique):
    batch = Reads(BATCH)
    added(technique, nets_of({"discriminator": curved()}), batch, {"fake": FAKE})
    drawn = technique.draws(DataSpec((1, 2, 3)), 5)
    assert drawn.keys() == batch.read - {"data"}
    assert all(draw.shape == BATCH[name].shape for name, draw in drawn.items())
    assert all(draw.distribution == "uniform" for draw in drawn.values())


@each
def test_it_moves_no_buffers(technique):
    net = SpectralNorm().network("discriminator", curved()).to(DOUBLE)
    nets = nets_of({"discriminator": net})
    kept = {name: b.clone() for name, b in nets.buffers["discriminator"].items()}
    assert kept
    added(technique, nets, BATCH, {"fake": FAKE})
    assert all(torch.equal(b, kept[name]) for name, b in nets.buffers["discriminator"].items())


@each
def test_the_gradient_at_a_flat_discriminator_is_finite(technique):
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).to(DOUBLE)
    parameters = {name: torch.zeros_like(p) for name, p in net.named_parameters()}

    def value(parameters):
        nets = nets_of({"discriminator": net}, discriminator=parameters)
        return added(technique, nets, BATCH, {"fake": FAKE})

    assert all(g.isfinite().all() for g in torch.func.grad(value)(parameters).values())


def test_a_nan_is_not_hidden():
    for technique in PENALTIES:
        net = curved()
        net[1].weight.data[0, 0] = torch.nan
        found = added(technique, nets_of({"discriminator": net}), BATCH, {"fake": FAKE})
        assert found.isnan(), technique.name


def test_models_that_penalties_fit():
    for technique in PENALTIES:
        assert technique.fits(MLPGAN(), NonSaturating()) is None
        assert technique.fits(DiracGAN(), NonSaturating()) is None
        assert "has none" in technique.fits(MLPVAE(), NonSaturating())
        assert "'discriminator'" in technique.fits(CycleGAN(), NonSaturating())
    assert R1R2.conflicts == ("r1", "r2")


# -- LeCam


def logits(turn):
    return {"real_logits": random(4, 1, seed=turn) + 1, "fake_logits": random(4, 1, seed=50 + turn) - 2}


def test_lecam_follows_its_recurrence_on_the_discriminators_turns_only():
    technique = LeCam(weight=0.5, decay=0.9)
    built = technique.networks(lambda spec: {"discriminator": curved()}, DataSpec((2,)))
    assert list(built) == ["discriminator", "lecam"]
    assert list(built["lecam"].parameters()) == []
    nets = nets_of({name: net.to(DOUBLE) for name, net in built.items()})
    real_anchor = fake_anchor = 0.0
    for turn, player in enumerate(["discriminator", "generator", "discriminator", "discriminator"]):
        out = logits(turn)
        real, fake = (tensor.numpy() for tensor in out.values())
        found = added(technique, nets, {}, out, player).item()
        if player == "generator":
            assert found == 0
        else:
            real_anchor = 0.9 * real_anchor + 0.1 * real.mean()
            fake_anchor = 0.9 * fake_anchor + 0.1 * fake.mean()
            penalty = ((real - fake_anchor) ** 2).mean() + ((fake - real_anchor) ** 2).mean()
            np.testing.assert_allclose(found, 0.5 * penalty, rtol=1e-12)
        buffers = nets.buffers["lecam"]
        np.testing.assert_allclose(buffers["real"].item(), real_anchor, rtol=1e-12)
        np.testing.assert_allclose(buffers["fake"].item(), fake_anchor, rtol=1e-12)
    assert abs(real_anchor - fake_anchor) > 0.1


def test_no_gradient_flows_through_lecams_anchors():
    technique = LeCam(weight=0.5, decay=0.2)
    nets = nets_of({"lecam": technique.networks(lambda spec: {}, DataSpec((2,)))["lecam"].to(DOUBLE)})
    out = logits(0)
    gradients = torch.func.grad(lambda out: added(technique, nets, {}, out))(out)
    real, fake = out["real_logits"], out["fake_logits"]
    close(gradients["real_logits"], 0.5 * 2 * (real - 0.8 * fake.mean()) / 4)
    close(gradients["fake_logits"], 0.5 * 2 * (fake - 0.8 * real.mean()) / 4)


# -- label smoothing

classified = st.lists(st.floats(-100, 100), min_size=1, max_size=5)


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax()], ids=lambda loss: loss.name)
@given(real=classified, fake=classified, target=st.floats(0.1, 1))
def test_label_smoothing_is_cross_entropy_with_soft_labels(loss, real, fake, target):
    out = {"real_logits": torch.tensor(real, dtype=DOUBLE), "fake_logits": torch.tensor(fake, dtype=DOUBLE)}
    technique = LabelSmoothing(target=target)
    objective = technique.objective(lambda player, nets, batch, out: loss.discriminator(out))

    def soft(out):
        labels = torch.full_like(out["real_logits"], target), torch.zeros_like(out["fake_logits"])
        pairs = zip(out.values(), labels, strict=True)
        return sum(F.binary_cross_entropy_with_logits(x, label) for x, label in pairs)

    found, expected = (
        torch.func.grad_and_value(function)(out)
        for function in (lambda out: objective("discriminator", None, {}, out), soft)
    )
    close(found[1], expected[1], 1e-8)
    for name in out:
        close(found[0][name], expected[0][name], 1e-8)


def test_label_smoothing_is_the_discriminators_and_of_labels():
    out = {"real_logits": torch.ones(2, dtype=DOUBLE)}
    assert added(LabelSmoothing(), None, {}, out, "generator").item() == 0
    close(added(LabelSmoothing(), None, {}, out).item(), 0.1)
    assert LabelSmoothing().fits(MLPGAN(), Minimax()) is None
    assert LabelSmoothing().fits(MLPGAN(), Hinge()) == (
        "label-smoothing softens the labels of minimax or non-saturating, and hinge has none"
    )
    assert "acts on the discriminator" in LabelSmoothing().fits(MLPVAE(), Minimax())


# -- feature matching


def judges():
    """Discriminators of images, and their features by hand."""
    mlp = curved()
    conv = filled(nn.Sequential(nn.Conv2d(1, 3, 2, padding=1), nn.Tanh(), nn.Conv2d(3, 1, 2)))
    normed = SpectralNorm().network("discriminator", curved()).to(DOUBLE)
    plain = nn.Sequential(nn.Flatten(), nn.Tanh())
    return {
        "mlp": (mlp, lambda x: mlp[:3](x)),
        "convolutional": (conv, lambda x: conv[:2](x)),
        "spectrally normalised": (normed, lambda x: normed[:3](x)),
        "without layers": (plain, lambda x: x),
    }


def matching(kind):
    net, features = judges()[kind]
    generator = filled(nn.Sequential(nn.Linear(2, 6), nn.Unflatten(1, (1, 2, 3))))
    return net, features, generator


@pytest.mark.parametrize("bound", [False, True], ids=["functional", "bound"])
@pytest.mark.parametrize("kind", judges())
def test_feature_matching_is_the_distance_of_mean_features(kind, bound):
    net, features, generator = matching(kind)
    net.eval()  # spectral norm stands still
    modules = {"discriminator": net, "generator": generator}
    nets = BoundNets(modules) if bound else nets_of(modules)
    noise = random(5, 2, seed=20)
    objective = FeatureMatching(weight=2.0).objective(lambda *arguments: 1 / 0)
    fake = generator(noise)
    value = objective("generator", nets, {"data": REAL}, {"fake": fake})
    expected = 2 * (features(REAL).mean(0) - features(fake).mean(0)).square().sum()
    assert expected > 1e-2
    close(value, expected)
    parameters = list(generator.parameters())
    by_hand = torch.autograd.grad(expected, parameters, retain_graph=True)
    close(torch.autograd.grad(value, parameters), by_hand)


def test_feature_matching_beside_the_loss_and_conditions():
    net, features, _ = matching("mlp")
    nets = nets_of({"discriminator": net}).around(
        "discriminator", lambda call: lambda x: call(x + 0.5).tanh()
    )
    expected = (features(REAL + 0.5).mean(0) - features(FAKE + 0.5).mean(0)).square().sum()
    close(added(FeatureMatching(replace=False), nets, {"data": REAL}, {"fake": FAKE}, "generator"), expected)


def test_feature_matching_leaves_the_discriminator_and_all_buffers_alone():
    net = SpectralNorm().network("discriminator", curved()).to(DOUBLE)
    nets = nets_of({"discriminator": net})
    kept = {name: b.clone() for name, b in nets.buffers["discriminator"].items()}
    added(FeatureMatching(), nets, {"data": REAL}, {"fake": FAKE}, "generator")
    assert all(torch.equal(b, kept[name]) for name, b in nets.buffers["discriminator"].items())
    assert added(FeatureMatching(), None, {}, {}, "discriminator").item() == 0


def test_feature_matching_leaves_no_hook_behind():
    nets = nets_of({"discriminator": curved()})
    with pytest.raises(RuntimeError):
        added(FeatureMatching(), nets, {"data": REAL[:, :, :1]}, {"fake": FAKE}, "generator")
    assert not torch_module._global_forward_pre_hooks


def test_models_that_feature_matching_fits():
    assert FeatureMatching().fits(MLPGAN(), Hinge()) is None
    assert "has none" in FeatureMatching().fits(MLPVAE(), Hinge())
    assert "'discriminator'" in FeatureMatching().fits(CycleGAN(), Hinge())


# -- orthogonal regularisation


def test_overlap_is_the_formula():
    for shape in ((4, 3), (3, 7), (5, 2, 3, 3)):
        weight = random(*shape)
        columns = weight.numpy().reshape(shape[0], -1).T  # W of the paper: filters are its columns
        gram = columns.T @ columns
        expected = np.linalg.norm(gram * (1 - np.eye(shape[0])), "fro") ** 2
        np.testing.assert_allclose(overlap(weight).item(), expected, rtol=1e-12)
        gradient = torch.func.grad(overlap)(weight).numpy().reshape(shape[0], -1)
        by_hand = 4 * (gram * (1 - np.eye(shape[0]))) @ columns.T
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-11, atol=1e-12)


def test_orthogonal_filters_do_not_overlap_whatever_their_lengths():
    lengths = torch.tensor([[1.0], [2.0], [5.0], [0.1]], dtype=DOUBLE)
    orthogonal = torch.linalg.qr(random(6, 6)).Q[:4] * lengths
    assert overlap(orthogonal) < 1e-25
    assert overlap(orthogonal + 0.1) > 1e-2


@pytest.mark.parametrize("bound", [False, True], ids=["functional", "bound"])
@pytest.mark.parametrize("players", ["generator", "discriminator", "both"])
def test_orthogonal_regularisation_is_of_the_chosen_players_matrices(players, bound):
    modules = {
        "generator": filled(nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6))),
        "discriminator": filled(nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(6, 2))),
    }
    first, last = (modules["discriminator"][i].weight for i in (0, 2))
    expected = {
        "generator": overlap(modules["generator"][0].weight),
        "discriminator": overlap(first) + overlap(last),
    }
    nets = BoundNets(modules) if bound else nets_of(modules)
    technique = OrthogonalRegularisation(beta=0.01, players=players)
    for player, sum_of_overlaps in expected.items():
        share = 0.01 * sum_of_overlaps if players in (player, "both") else torch.zeros((), dtype=DOUBLE)
        close(added(technique, nets, {}, {}, player), share, 1e-11)


def test_models_that_orthogonal_regularisation_fits():
    for players in ("generator", "discriminator", "both"):
        technique = OrthogonalRegularisation(players=players)
        assert technique.fits(MLPGAN(), Hinge()) is None
        assert "mlp-vae" in technique.fits(MLPVAE(), Hinge())
    # without a matrix there is nothing to add
    nets = nets_of({"generator": nn.BatchNorm1d(2).to(DOUBLE)})
    assert added(OrthogonalRegularisation(), nets, {}, {}, "generator").item() == 0


# -- options and stacks


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        *((cls, {"gamma": -1}) for cls in (R1, R2, R1R2)),
        *((cls, {"weight": -1}) for cls in (WGANGP, OneSidedGP, ZeroCentredGP)),
        *((cls, {"weight": -1}) for cls in (DRAGAN, LeCam, FeatureMatching)),
        (DRAGAN, {"spread": -0.5}),
        (LeCam, {"decay": 1.0}),
        (LabelSmoothing, {"target": 0}),
        (LabelSmoothing, {"target": 1.1}),
        (OrthogonalRegularisation, {"beta": -1e-4}),
        (OrthogonalRegularisation, {"players": "all"}),
    ],
)
def test_senseless_options_are_refused(cls, options):
    with pytest.raises(BadInput):
        create(cls, options, cls.name)


STACKS = [
    *((technique.name,) for technique in PENALTIES),
    ("lecam",),
    ("label-smoothing",),
    ("feature-matching",),
    ("orthogonal-regularisation",),
    ("spectral-norm", "feature-matching", "lecam", "dragan"),
]


@pytest.mark.parametrize("names", STACKS, ids="+".join)
def test_a_stack_is_its_runs(builtins, names):
    data = create(builtins.get("dataset", "ring").cls, {"size": 100}).load(None)
    options = {"mlp-gan": {"hidden": [8, 8], "discriminator_turns": 2}}
    fast = {"name": "adam", "lr": 0.1, "betas": [0.5, 0.999]}  # so that gradients soon exceed 1
    made, plain = (
        Program(variant("mlp-gan", "non-saturating", chosen, options, fast), builtins, data)
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
    moved = {
        player: (flat - without.state().joint[player]).norm() for player, flat in looped.state().joint.items()
    }
    assert max(moved.values()) > 1e-9  # the technique is there
