"""Metrics of the dynamics, against games whose Jacobians, paths and gaps are known in closed form."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toys import variant

import ganbench
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.game_view import PlayedGame
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Runs, unstacked
from ganbench.game.nets import Layout
from ganbench_builtin.metrics import singular_values
from ganbench_builtin.metrics._dynamics import ascent_field, flatten, unflatten
from ganbench_builtin.metrics.discriminator_gap import DiscriminatorGap
from ganbench_builtin.metrics.duality_gap import DualityGap
from ganbench_builtin.metrics.generator_conditioning import GeneratorConditioning
from ganbench_builtin.metrics.jacobian_eigenvalues import JacobianEigenvalues
from ganbench_builtin.metrics.path_angle import PathAngle
from ganbench_builtin.metrics.singular_values import SingularValues
from ganbench_builtin.models._adversarial import Adversarial

METRICS = (
    DiscriminatorGap,
    DualityGap,
    GeneratorConditioning,
    JacobianEigenvalues,
    PathAngle,
    SingularValues,
)
CPU = torch.device("cpu")
LOST = 2 * math.log(2**52)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- games of our own


class Vector(nn.Module):
    """A network that is its parameters, whatever it is given."""

    def __init__(self, start):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, x):
        return self.value


class Mass(Vector):
    def forward(self, x):
        return self.value.expand(len(x), -1)


class Slopes(Vector):
    """x -> sum_i scale_i value_i x_i"""

    def __init__(self, start, scale):
        super().__init__(start)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def forward(self, x):
        return x @ (self.scale * self.value)[:, None]


@dataclass(frozen=True)
class Diracs(Adversarial):
    """Dirac-GANs side by side at their equilibrium; the i-th has the logit scale_i psi_i x_i."""

    name = "diracs"
    scale: tuple[float, ...] = ()
    latent = 0
    discriminator_turns = 1

    def networks(self, spec):
        zeros = [0.0] * len(self.scale)
        return {"generator": Mass(zeros), "discriminator": Slopes(zeros, self.scale)}


@dataclass(frozen=True)
class Pair(ganbench.Model):
    """Two vectors."""

    name = "pair"
    family = "quadratic"
    generator: tuple[float, ...] = ()
    discriminator: tuple[float, ...] = ()

    def players(self):
        return {"generator": ("generator",), "discriminator": ("discriminator",)}

    def networks(self, spec):
        return {"generator": Vector(self.generator), "discriminator": Vector(self.discriminator)}

    def play(self, player, nets, batch):
        return {name: nets[name](batch["data"]) for name in self.players()}

    def sample_draws(self, spec, n):
        return {}

    def sample(self, nets, batch):
        return nets["generator"](batch["data"]).expand(len(batch["data"]), -1)


@dataclass(frozen=True)
class Quadratic(ganbench.Loss):
    """v = -[[A, B], [E, C]] (g, d), A and C symmetric."""

    name = "quadratic"
    family = "quadratic"
    blocks: Any = None

    def __post_init__(self):
        object.__setattr__(self, "blocks", [torch.tensor(block).double() for block in self.blocks])

    def generator(self, out):
        (a, b, _, _), g, d = self.blocks, out["generator"], out["discriminator"]
        return g @ a @ g / 2 + g @ b @ d

    def discriminator(self, out):
        (_, _, e, c), g, d = self.blocks, out["generator"], out["discriminator"]
        return d @ c @ d / 2 + d @ e @ g


@dataclass(frozen=True)
class Linear(Adversarial):
    """x = W z + shift"""

    name = "linear"
    weight: Any = None
    discriminator_turns = 1

    @property
    def latent(self):
        return len(self.weight[0])

    def networks(self, spec):
        generator = nn.Linear(self.latent, len(self.weight))
        generator.weight = nn.Parameter(torch.tensor(self.weight, dtype=torch.float64))
        return {"generator": generator, "discriminator": nn.Linear(spec.numel, 1)}


@pytest.fixture
def shelf(builtins, toys):
    """The built-ins and toys, with the games of this file among them."""
    own = {component.name: component for component in (Diracs, Pair, Linear)}

    def get(kind, name):
        if kind == "loss" and name == "quadratic":
            return SimpleNamespace(cls=Quadratic)
        if name in own:
            return SimpleNamespace(cls=own[name])
        return (toys if name.startswith("toy-") else builtins).get(kind, name)

    return SimpleNamespace(get=get)


def zeros(dimensions=1, n=8):
    return Data(train=torch.zeros(n, dimensions), test=torch.zeros(n, dimensions))


def seen(view):
    return Evaluation(
        torch.zeros(1, 1), zeros(), lambda n: zeros().train, None, torch.Generator(), view.joint, view=view
    )


def at(program, data, move=None, seed=0, step=7):
    """What metrics see of a fresh run, some players moved: name -> their first numbers."""
    state = program.initial(seed, {})
    joint = dict(state.joint)
    for player, numbers in (move or {}).items():
        joint[player] = joint[player].clone()
        joint[player][: len(numbers)] = torch.as_tensor(numbers)
    return seen(PlayedGame(program, {}, data, joint, state.buffers, seed, step))


def dirac(shelf, loss, techniques=None, data=None, theta=0.0, psi=0.0):
    options = (techniques or {}) | {"dirac-gan": {"theta": theta, "psi": psi}}
    config = variant("dirac-gan", loss, tuple(techniques or {}), options, batch=4)
    data = data or zeros()
    return at(Program(config, shelf, data), data)


def quadratic(shelf, blocks, start, move=None):
    """The game v = -M w of blocks that make up M."""
    options = {
        "pair": dict(zip(("generator", "discriminator"), start, strict=True)),
        "quadratic": {"blocks": [np.asarray(block).tolist() for block in blocks]},
    }
    program = Program(variant("pair", "quadratic", (), options, batch=4), shelf, zeros())
    return at(program, zeros(), move)


def small_gan(shelf, techniques=(), hidden=(8, 8), precision="float64", steps=0):
    """A GAN on the ring after some steps."""
    data = shelf.get("dataset", "ring").cls().load(None)
    options = {"mlp-gan": {"hidden": list(hidden), "activation": "tanh"}}
    config = variant("mlp-gan", "non-saturating", techniques, options, batch=16, precision=precision)
    program = Program(config, shelf, data)
    looped = Looped(program, Runs((3,), ({},)), data, CPU)
    if steps:
        looped.advance(steps)
    return program, data, looped


# -- parameters without padding


def test_vectors_hold_parameters_alone():
    nets = {"a": nn.Linear(3, 5), "b": nn.Linear(2, 1)}
    layout = Layout({"one": ("a",), "two": ("b",)}, nets)
    joint = layout.pack(nets)
    vector = flatten(layout, joint)
    assert len(vector) == 3 * 5 + 5 + 2 + 1 < sum(map(len, joint.values()))
    torch.testing.assert_close(vector[:15], nets["a"].weight.detach().flatten())
    torch.testing.assert_close(vector[-1:], nets["b"].bias.detach())
    for player, flat in unflatten(layout, vector).items():
        assert torch.equal(flat, joint[player])


# -- eigenvalues


DIRAC = {  # Mescheder et al. 2018, arXiv:1801.04406, and FACTS.md: the largest real and imaginary parts
    "minimax": ("minimax", {}, 0, 0.5),
    "non-saturating": ("non-saturating", {}, 0, 0.5),
    "wasserstein": ("wasserstein", {}, 0, 1),
    "r1 .3": ("non-saturating", {"r1": {"gamma": 0.3}}, -0.15, math.sqrt(0.25 - 0.0225)),
    "r1 1": ("minimax", {"r1": {"gamma": 1.0}}, -0.5, 0),
    "r1 3": ("non-saturating", {"r1": {"gamma": 3.0}}, -1.5 + math.sqrt(2), 0),
    # acts on the field, which is not the objectives' own: with it they would be -.25 +- .5i
    "consensus": ("minimax", {"consensus": {"gamma": 1.0}}, 0, 0.5),
}


@pytest.mark.parametrize(("loss", "techniques", "real", "imaginary"), DIRAC.values(), ids=DIRAC)
def test_eigenvalues_of_the_dirac_gan(shelf, loss, techniques, real, imaginary):
    values = JacobianEigenvalues().measure(dirac(shelf, loss, techniques))
    assert values == {
        "eigen-real": pytest.approx(real, abs=1e-6),
        "eigen-imaginary": pytest.approx(imaginary, abs=1e-6),
    }


@pytest.mark.parametrize("dense", [0, 300], ids=["matrix-free", "dense"])
@pytest.mark.parametrize("count", [2, 12, 25])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 3.0])
def test_eigenvalues_of_dirac_gans_side_by_side(shelf, gamma, count, dense):
    """-gamma s^2 / 2 +- sqrt(gamma^2 s^4 / 4 - s^2 / 4), for each scale s; s = 1 is the Dirac-GAN."""
    scale = np.linspace(1, 0.2, count) ** 2
    options = {"diracs": {"scale": scale.tolist()}, "r1": {"gamma": gamma}}
    program = Program(variant("diracs", "minimax", ("r1",), options, batch=4), shelf, zeros(count))
    found = JacobianEigenvalues(dense=dense).measure(at(program, zeros(count)))
    root = np.emath.sqrt(gamma**2 * scale**4 / 4 - scale**2 / 4)
    roots = np.concatenate([-gamma * scale**2 / 2 + root, -gamma * scale**2 / 2 - root])
    assert found["eigen-imaginary"] == pytest.approx(abs(roots.imag).max(), abs=1e-6)
    assert found["eigen-real"] == pytest.approx(roots.real.max(), abs=1e-6)


def test_eigenvalues_of_a_saddle(shelf):
    """v = -(y + x / 10, -x)."""
    config = variant("toy-duel", "toy-saddle", players=("low", "high"))
    found = JacobianEigenvalues().measure(at(Program(config, shelf, zeros()), zeros()))
    assert found["eigen-real"] == pytest.approx(-0.05, abs=1e-12)
    assert found["eigen-imaginary"] == pytest.approx(math.sqrt(1 - 0.05**2), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_eigenvalues_of_a_large_quadratic_game(shelf, seed):
    sizes = (190, 141)
    blocks = [normal(m, n, seed=seed).numpy() / 10 for m in sizes for n in sizes]
    blocks[0], blocks[3] = (block + block.T for block in (blocks[0], blocks[3]))
    evaluation = quadratic(shelf, blocks, ([1.0] * sizes[0], [1.0] * sizes[1]))
    expected = np.linalg.eigvals(-np.block([blocks[:2], blocks[2:]]))
    for dense in (0, 1000):
        found = JacobianEigenvalues(dense=dense).measure(evaluation)
        assert found["eigen-real"] == pytest.approx(expected.real.max(), rel=1e-6)
        assert found["eigen-imaginary"] == pytest.approx(abs(expected.imag).max(), rel=1e-6)


@pytest.mark.parametrize("dense", [0, 1000])
def test_eigenvalues_of_nothing(shelf, dense):
    nothing = [np.zeros((4, 4))] * 4
    evaluation = quadratic(shelf, nothing, ([1.0] * 4, [1.0] * 4))
    assert JacobianEigenvalues(dense=dense).measure(evaluation) == {"eigen-real": 0, "eigen-imaginary": 0}


def test_eigenvalues_are_nan_where_they_are_not_found(shelf):
    nothing = np.zeros((200, 200))
    blocks = [nothing, np.eye(200, k=3), np.eye(200, k=5), nothing]  # nilpotent
    evaluation = quadratic(shelf, blocks, ([1.0] * 200, [1.0] * 200))
    found = JacobianEigenvalues(restarts=1).measure(evaluation)
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("techniques", [(), ("r1",)])
def test_the_jacobian_of_a_gan_is_its_fields_slope(shelf, techniques):
    program, data, looped = small_gan(shelf, techniques, steps=20)
    state = unstacked(looped.state(), 0)
    view = PlayedGame(program, {}, data, state.joint, state.buffers, 3, 20)
    field, here, h = ascent_field(view, view.batch()), flatten(view.layout, view.joint), 1e-6
    units = torch.eye(len(here), dtype=torch.float64)
    slopes = torch.stack([(field(here + h * e) - field(here - h * e)) / (2 * h) for e in units], dim=1)
    expected = np.linalg.eigvals(slopes.numpy())
    for dense in (0, 1000):
        found = JacobianEigenvalues(dense=dense).measure(seen(view))
        assert found["eigen-real"] == pytest.approx(expected.real.max(), rel=1e-4)
        assert found["eigen-imaginary"] == pytest.approx(abs(expected.imag).max(), rel=1e-4)


# -- path angle

BEGAN = np.array([300.0, -400.0])


def spiral(shelf, pull, turn, here):
    """v = (-pull I + turn R) w, R a quarter turn, on a path from BEGAN to `here`."""
    blocks = [[[pull]], [[turn]], [[-turn]], [[pull]]]
    start = ([BEGAN[0]], [BEGAN[1]])
    return quadratic(shelf, blocks, start, {"generator": here[:1], "discriminator": here[1:]})


@pytest.mark.parametrize(("pull", "turn"), [(1, 0), (0, 1), (-1, 0), (0.6, 0.8), (0.3, -2), (-0.5, 0.1)])
@pytest.mark.parametrize("here", [(0.5, 0.25), (-7.0, 1.0), (150.0, 20.0)])
def test_path_angle_is_the_cosine_on_the_line(shelf, pull, turn, here):
    evaluation, metric = spiral(shelf, pull, turn, here), PathAngle(points=6)
    way = np.array(here) - BEGAN
    points = BEGAN + np.linspace(0.6, 1.4, 13)[:, None] * way
    field = points @ np.array([[-pull, -turn], [turn, -pull]]).T
    expected = field @ way / np.linalg.norm(field, axis=1) / np.linalg.norm(way)
    np.testing.assert_allclose(metric.cosines(evaluation.view).numpy(), expected, atol=1e-6)
    found = metric.measure(evaluation)
    assert found["path-switch"] == pytest.approx(expected[0] - expected[-1], abs=1e-6)
    ends = (abs(expected[0]) + abs(expected[-1])) / 2
    assert found["path-bump"] == pytest.approx(abs(expected).max() - ends, abs=1e-6)


@pytest.mark.parametrize(("pull", "turn"), [(1, 0), (0, 1), (0, -1), (-1, 0), (3, 4), (5, -12), (-3, 4)])
def test_path_angle_tells_attraction_from_rotation(shelf, pull, turn):
    """A long path that passes the stationary point closely: the closed form of the docstring."""
    across = np.array([-BEGAN[1], BEGAN[0]]) / 500
    found = PathAngle(points=200, batches=1).measure(spiral(shelf, pull, turn, across * 2))
    share = pull / math.hypot(pull, turn)
    assert found["path-switch"] == pytest.approx(2 * share, abs=0.03)
    assert found["path-bump"] == pytest.approx(1 - abs(share), abs=0.02)


def test_path_angle_far_from_any_stationary_point(shelf):
    found = PathAngle().measure(spiral(shelf, 1, 1, BEGAN + 1e-3))
    assert found == {"path-switch": pytest.approx(0, abs=1e-4), "path-bump": pytest.approx(0, abs=1e-4)}


def test_path_angle_needs_a_path(shelf):
    assert all(map(math.isnan, PathAngle().measure(spiral(shelf, 1, 0, BEGAN)).values()))


# -- duality gap


def constant(train, test, n=8):
    return Data(train=torch.full((n, 1), float(train)), test=torch.full((n, 1), float(test)))


def test_duality_gap_of_the_bilinear_game(shelf):
    """D's objective is psi (theta - x); SGD moves both in straight lines."""
    theta, psi, k, lr = 0.7, -1.3, 25, 0.02
    metric = DualityGap(steps=k, optimizer="sgd", lr=lr)
    found = metric.measure(dirac(shelf, "wasserstein", theta=theta, psi=psi))
    assert found["duality-gap"] == pytest.approx(k * lr * (theta**2 + psi**2), rel=1e-6)
    # Adam's steps are of size lr where the gradient stays the same
    found = DualityGap(steps=k, lr=lr).measure(dirac(shelf, "wasserstein", theta=theta, psi=psi))
    assert found["duality-gap"] == pytest.approx(k * lr * (abs(theta) + abs(psi)), rel=1e-6)


def test_duality_gap_is_taken_on_held_out_data(shelf):
    theta, psi, k, lr, train, test = 0.7, -1.3, 25, 0.02, 0.4, 0.9
    evaluation = dirac(shelf, "wasserstein", data=constant(train, test), theta=theta, psi=psi)
    found = DualityGap(steps=k, optimizer="sgd", lr=lr).measure(evaluation)
    expected = k * lr * (psi**2 + (theta - train) * (theta - test))
    assert found["duality-gap"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("k", [10, 400])
def test_duality_gap_of_a_regularised_game(shelf, k):
    """With R1, D lowers psi theta + gamma psi^2 / 2, whose least value is -theta^2 / (2 gamma)."""
    theta, psi, lr, gamma = 0.7, -1.3, 0.1, 0.5
    evaluation = dirac(shelf, "wasserstein", {"r1": {"gamma": gamma}}, theta=theta, psi=psi)
    found = DualityGap(steps=k, optimizer="sgd", lr=lr).measure(evaluation)
    best = -theta / gamma + (1 - lr * gamma) ** k * (psi + theta / gamma)
    worst = theta + k * lr * psi
    expected = psi * worst + gamma * psi**2 / 2 - (best * theta + gamma * best**2 / 2)
    assert found["duality-gap"] == pytest.approx(expected, rel=1e-6)
    if k == 400:
        assert best * theta + gamma * best**2 / 2 == pytest.approx(-(theta**2) / (2 * gamma))


def test_duality_gap_at_the_equilibrium(shelf):
    for loss in ("minimax", "non-saturating", "hinge"):
        assert DualityGap(steps=20).measure(dirac(shelf, loss))["duality-gap"] == pytest.approx(0, abs=1e-12)


# -- conditioning of the generator


@pytest.mark.parametrize(("numbers", "latent"), [(5, 3), (3, 3), (2, 6), (1, 4)])
def test_conditioning_of_a_linear_generator(shelf, numbers, latent):
    weight = normal(numbers, latent)
    options = {"linear": {"weight": weight.tolist()}}
    program = Program(variant("linear", "minimax", (), options, batch=4), shelf, zeros(numbers))
    found = GeneratorConditioning(points=5).measure(at(program, zeros(numbers)))
    stretch = np.linalg.svd(weight.numpy(), compute_uv=False)
    expected = 2 * math.log(stretch[0] / stretch[-1])
    assert found["generator-conditioning"] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("weight", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_conditioning_of_a_generator_that_has_lost_a_direction(shelf, weight):
    program = Program(
        variant("linear", "minimax", (), {"linear": {"weight": weight}}, batch=4), shelf, zeros(2)
    )
    found = GeneratorConditioning().measure(at(program, zeros(2)))
    assert found["generator-conditioning"] == pytest.approx(LOST, rel=1e-3)


def test_conditioning_is_that_of_finite_differences(shelf):
    program, data, _ = small_gan(shelf)
    evaluation = at(program, data)
    view, batch, h = evaluation.view, evaluation.view.sample_batch(6), 1e-6
    logs = []
    for row in range(6):
        columns = []
        for unit in torch.eye(2, dtype=torch.float64):
            up, down = (
                view.sample(view.joint, batch | {"noise": batch["noise"] + s * h * unit})[row]
                for s in (1, -1)
            )
            columns.append((up - down).numpy() / (2 * h))
        jacobian = np.stack(columns, axis=1)
        logs.append(math.log(np.linalg.cond(jacobian.T @ jacobian)))
    found = GeneratorConditioning(points=6).measure(evaluation)
    assert found["generator-conditioning"] == pytest.approx(np.mean(logs), rel=1e-5)


def test_conditioning_of_a_vae_is_of_codes_from_the_prior(shelf):
    data = Data(train=normal(9, 2).float(), test=normal(5, 2).float())
    options = {"mlp-vae": {"hidden": [], "latent": 3, "decoder": "gaussian"}}
    program = Program(variant("mlp-vae", "elbo", (), options, players=("vae",), batch=4), shelf, data)
    evaluation = at(program, data)
    [decoder] = (
        p for p in evaluation.view.parameters(evaluation.view.joint)["decoder"].values() if p.ndim == 2
    )
    found = GeneratorConditioning(points=4).measure(evaluation)["generator-conditioning"]
    assert found == pytest.approx(2 * math.log(np.linalg.cond(decoder.numpy())), rel=1e-9)


def test_conditioning_needs_noise(shelf):
    for evaluation in (dirac(shelf, "minimax"), quadratic(shelf, [[[1.0]]] * 4, ([1.0], [1.0]))):
        assert math.isnan(GeneratorConditioning().measure(evaluation)["generator-conditioning"])


# -- singular values of the discriminator


@pytest.mark.parametrize("technique", [(), ("spectral-norm",)])
def test_singular_values_of_a_discriminator(shelf, technique):
    program, data, _ = small_gan(shelf, technique, hidden=(12, 5))
    evaluation = at(program, data)
    weights = evaluation.view.parameters(evaluation.view.joint)["discriminator"].values()
    norms = [np.linalg.norm(weight.numpy(), 2) for weight in weights if weight.ndim == 2]
    assert len(norms) == 3
    found = SingularValues().measure(evaluation)
    assert found["singular-max"] == pytest.approx(max(norms), rel=1e-12)
    assert found["singular-log-product"] == pytest.approx(sum(map(math.log, norms)), rel=1e-12)


@pytest.mark.parametrize("exact", [1024, 0], ids=["exact", "power iteration"])
@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize("shape", [(6, 3, 2, 2), (4, 30), (30, 4), (1, 9)])
def test_singular_value_of_any_weight(monkeypatch, shape, size, exact):
    monkeypatch.setattr(singular_values, "_EXACT", exact)
    weight = normal(*shape) * size
    expected = np.linalg.norm(weight.numpy().reshape(shape[0], -1) / size, 2) * size
    assert singular_values._norm(weight).item() == pytest.approx(expected, rel=1e-9)


def test_singular_values_at_the_edges(shelf):
    assert singular_values._norm(torch.zeros(3, 4)) == 0
    for bad in (math.nan, math.inf):
        assert singular_values._norm(torch.tensor([[1.0, bad]])).isnan()
    assert all(map(math.isnan, SingularValues().measure(dirac(shelf, "minimax")).values()))


# -- the discriminator's gap


@pytest.mark.parametrize(
    ("train", "test", "expected"), [(2, 2, 0), (2, 0.5, 1), (2, 1.25, 0.5), (1, -0.5, 3)]
)
def test_discriminator_gap_by_hand(shelf, train, test, expected):
    """D = psi x, and theta = .5: (train - test) / (train - theta)."""
    evaluation = dirac(shelf, "minimax", data=constant(train, test), theta=0.5, psi=-0.3)
    found = DiscriminatorGap(batches=2).measure(evaluation)
    assert found["discriminator-gap"] == pytest.approx(expected, abs=1e-12)


def test_discriminator_gap_counts_where_the_difference_does(shelf):
    """D = 2 x, generated data at 0, training data spread by +-1 about `mean`, held-out ones .25 below."""
    found = {}
    for mean in (0.0, 0.05, 0.5):
        train = torch.linspace(-1, 1, 1000)[:, None] + mean
        data = Data(train=train, test=train - 0.25)
        evaluation = dirac(shelf, "minimax", data=data, theta=0.0, psi=2.0)
        found[mean] = DiscriminatorGap().measure(evaluation)["discriminator-gap"]  # 64 samples: error .14
    assert math.isnan(found[0.0])
    assert math.isnan(found[0.05])
    assert found[0.5] == pytest.approx(0.5, abs=4 * 0.1 / 0.5)


def test_discriminator_gap_of_one_that_tells_nothing(shelf):
    evaluation = dirac(shelf, "minimax", data=constant(2, 1), theta=2.0, psi=0.5)
    assert math.isnan(DiscriminatorGap().measure(evaluation)["discriminator-gap"])


def test_discriminator_gap_is_of_what_the_discriminator_is_shown(shelf):
    program, data, _ = small_gan(shelf, ("packing", "spectral-norm"))
    assert math.isfinite(DiscriminatorGap(batches=64).measure(at(program, data))["discriminator-gap"])


def test_discriminator_gap_wants_logits(shelf):
    evaluation = quadratic(shelf, [[[1.0]]] * 4, ([1.0], [1.0]))
    with pytest.raises(ganbench.BadInput, match="does not give real_logits and fake_logits"):
        DiscriminatorGap().measure(evaluation)


# -- all of them


@pytest.mark.parametrize("metric", METRICS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_networks_that_are_not_finite(shelf, metric, bad, player):
    program, data, _ = small_gan(shelf)
    options = {"steps": 3} if metric is DualityGap else {}
    found = metric(**options).measure(at(program, data, {player: [bad] * 40}))
    assert list(found) == list(metric.values)
    looks_at = {SingularValues: "discriminator", GeneratorConditioning: "generator"}.get(metric, player)
    expected = math.isnan if looks_at == player else math.isfinite
    assert all(map(expected, found.values())), found


SETTINGS = {
    "samples": 8,
    "metrics": [{"name": cls.name, "options": {"steps": 5} if cls is DualityGap else {}} for cls in METRICS],
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_measuring_disturbs_nothing_and_repeats_itself(builtins, precision):
    program, data, looped = small_gan(builtins, ("spectral-norm", "ema"), (6,), precision, steps=10)
    evaluator = Evaluator(SETTINGS, builtins, program, Runs((3,), ({},)), data)
    before = [tensor.clone() for tensor in tensors(looped.state())]
    randomness = torch.random.get_rng_state()
    rows = evaluator.measure(looped.state(), 10, [0])
    assert torch.equal(torch.random.get_rng_state(), randomness)
    assert all(map(torch.equal, tensors(looped.state()), before))
    assert evaluator.measure(looped.state(), 10, [0]) == rows
    assert [row["weights"] for row in rows] == ["raw"] * (len(rows) // 2) + ["ema"] * (len(rows) // 2)
    told = [row for row in rows if row["metric"] != "discriminator-gap"]  # which a young one has not
    assert all(math.isfinite(row["value"]) for row in told), rows
    by_weights = {(row["weights"], row["metric"]): row["value"] for row in rows}
    assert {metric for _, metric in by_weights} == {name for cls in METRICS for name in cls.values}
    assert by_weights["raw", "duality-gap"] != by_weights["ema", "duality-gap"]


def tensors(state):
    return list(
        itertools.chain(
            state.joint.values(),
            state.memory.values(),
            *(named.values() for named in state.buffers.values()),
            [state.died],
        )
    )


@pytest.mark.gpu
def test_on_a_gpu(shelf):
    """The training part may stay behind on the CPU."""
    data, theta, psi, k, lr = constant(2, 1.25), 0.5, -0.3, 25, 0.02
    data = Data(train=data.train, test=data.test.cuda())
    options = {"dirac-gan": {"theta": theta, "psi": psi}}
    program = Program(variant("dirac-gan", "wasserstein", (), options, batch=4), shelf, data)
    state = program.initial(0, {})
    joint = {player: flat.cuda() for player, flat in state.joint.items()}
    evaluation = seen(PlayedGame(program, {}, data, joint, state.buffers, 0, 7))
    assert DiscriminatorGap().measure(evaluation)["discriminator-gap"] == pytest.approx(0.5, rel=1e-6)
    gap = DualityGap(steps=k, optimizer="sgd", lr=lr).measure(evaluation)["duality-gap"]
    assert gap == pytest.approx(k * lr * (psi**2 + (theta - 2) * (theta - 1.25)), rel=1e-6)
    found = JacobianEigenvalues().measure(evaluation)
    assert found == {"eigen-real": pytest.approx(0, abs=1e-9), "eigen-imaginary": pytest.approx(1)}
    assert all(map(math.isnan, PathAngle().measure(evaluation).values()))  # where it began
    assert singular_values._norm(torch.ones(2, 2).cuda()).item() == pytest.approx(2)
