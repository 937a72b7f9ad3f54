"""Techniques that wrap the field, against matrices, finite differences and ordinary autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import variant

from ganbench.components.base import create
from ganbench.components.data import Data
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Mapped, Runs
from ganbench.executors import Eager
from ganbench.game import Flow, Game
from ganbench.game.draws import isolated_rng, stream
from ganbench.game.fields import BoundField, functional_field
from ganbench.game.nets import Layout, Nets, named_buffers, purified
from ganbench_builtin.losses.elbo import ELBO
from ganbench_builtin.losses.wasserstein import Wasserstein
from ganbench_builtin.models.dirac_gan import DiracGAN
from ganbench_builtin.models.mlp_vae import MLPVAE
from ganbench_builtin.techniques.consensus import Consensus
from ganbench_builtin.techniques.extragradient import Extragradient
from ganbench_builtin.techniques.spectral_norm import SpectralNorm
from ganbench_builtin.techniques.symplectic import Symplectic
from ganbench_builtin.techniques.unrolled import Unrolled

CPU = torch.device("cpu")
DOUBLE = torch.float64
BOTH = ("generator", "discriminator")
TURNS = [BOTH, ("discriminator", "generator"), ("generator",), ("discriminator",)]
FIELDS = [Consensus(gamma=0.7), Symplectic(), Extragradient(step=0.3), Unrolled(steps=3, lr=0.2)]


def close(a, b, tolerance=1e-11):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def ids(technique):
    return technique.name


# -- linear fields, against matrices


SIZES = {"low": 3, "middle": 1, "high": 2}
ROWS = {"low": slice(0, 3), "middle": slice(3, 4), "high": slice(4, 6)}


def random_matrix(seed, rows=6, columns=6):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def linear(matrix, shift):
    """The field v(x) = J x + b of three players. Buffers count evaluations."""
    matrix, shift = torch.from_numpy(matrix), torch.from_numpy(shift)

    def field(turn, joint, buffers, batch):
        v = matrix @ torch.cat(list(joint.values())) + shift
        count = {"net": {"count": buffers["net"]["count"] + 1}}
        losses = {player: joint[player].sum() for player in turn}
        gradients = {player: v[ROWS[player]] for player in turn}
        return Flow(gradients, count, losses, {player: {"seen": joint[player][0]} for player in turn})

    return field


def ask(technique, matrix, turn, seed=1):
    """What a technique makes of a linear field at a random point, and that point's v."""
    shift, x = random_matrix(seed, 2)
    joint = {player: torch.from_numpy(x[rows]) for player, rows in ROWS.items()}
    buffers = {"net": {"count": torch.zeros((), dtype=DOUBLE)}}
    flow = technique.field(linear(matrix, shift))(turn, joint, buffers, {})
    assert set(flow.gradients) == set(flow.losses) == set(flow.outs) == set(turn)
    assert flow.buffers["net"]["count"] == 1
    for player in turn:
        close(flow.losses[player].item(), x[ROWS[player]].sum())
        close(flow.outs[player]["seen"].item(), x[ROWS[player]][0])
    return {player: gradient.numpy() for player, gradient in flow.gradients.items()}, matrix @ x + shift


LINEAR_TURNS = [("low", "middle", "high"), ("high", "low"), ("middle",)]


def agree(found, expected):
    for player, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[ROWS[player]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("turn", LINEAR_TURNS, ids=str)
def test_consensus_on_a_linear_field(turn):
    matrix = random_matrix(0)
    found, v = ask(Consensus(gamma=0.3), matrix, turn)
    agree(found, v + 0.3 * matrix.T @ v)


@pytest.mark.parametrize("turn", LINEAR_TURNS, ids=str)
def test_symplectic_on_a_linear_field(turn):
    matrix = random_matrix(0)
    found, v = ask(Symplectic(strength=0.3, align=False), matrix, turn)
    agree(found, v + 0.3 * (matrix.T - matrix) / 2 @ v)


@pytest.mark.parametrize("turn", LINEAR_TURNS, ids=str)
def test_extragradient_on_a_linear_field(turn):
    matrix = random_matrix(0)
    found, v = ask(Extragradient(step=0.3), matrix, turn)
    agree(found, v - 0.3 * matrix @ v)


def test_symplectic_alignment_has_the_papers_sign():
    """lambda = sign(<v, H><A^T v, H> / d + 1/10), H = J^T v."""
    signs = []
    for seed in range(12):
        matrix = random_matrix(seed)
        found, v = ask(Symplectic(strength=0.3), matrix, LINEAR_TURNS[0], seed=seed + 100)
        slope, twist = matrix.T @ v, (matrix.T - matrix) / 2 @ v
        signs.append(np.sign((v @ slope) * (twist @ slope) / 6 + 0.1))
        agree(found, v + 0.3 * signs[-1] * twist)
    assert set(signs) == {-1.0, 1.0}


def test_symplectic_leaves_a_potential_game_alone_and_descends_a_hamiltonian_one():
    matrix = random_matrix(3)
    found, v = ask(Symplectic(strength=5.0), matrix + matrix.T, LINEAR_TURNS[0])
    agree(found, v)
    rotation = matrix - matrix.T
    found, v = ask(Symplectic(), rotation, LINEAR_TURNS[0])
    agree(found, v + rotation.T @ v)  # what is added is the gradient of |v|^2 / 2


# -- a game of networks: batch norm in the generator, spectral norm in the discriminator


def modules_of(norm):
    with isolated_rng(7, "fields"):
        middle = [nn.BatchNorm1d(4)] if norm == "batch" else []
        generator = nn.Sequential(nn.Linear(2, 4), *middle, nn.Tanh(), nn.Linear(4, 2))
        discriminator = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
        if norm == "spectral":
            discriminator = SpectralNorm().network("discriminator", discriminator)
    nets = {"generator": purified(generator), "discriminator": discriminator}
    return {name: net.to(DOUBLE) for name, net in nets.items()}


def play(player, nets, batch):
    fake = nets["generator"](batch["noise"])
    out = {"fake_logits": nets["discriminator"](fake)}
    return out if player == "generator" else out | {"real_logits": nets["discriminator"](batch["data"])}


def objective(player, nets, batch, out):
    if player == "generator":
        return F.softplus(-out["fake_logits"]).mean()
    return F.softplus(out["fake_logits"]).mean() + F.softplus(-out["real_logits"]).mean()


def observe(player, out):
    return {"fake_mean": out["fake_logits"].mean()}


class World:
    """One game at one point."""

    def __init__(self, norm="plain"):
        self.modules = modules_of(norm)
        self.layout = Layout({name: (name,) for name in BOTH}, self.modules)
        self.game = Game(self.layout, (BOTH,), play, objective, observe)
        self.field = functional_field(self.game, self.modules)
        self.joint, self.buffers = self.layout.pack(self.modules), named_buffers(self.modules)
        draw = lambda *role: torch.randn(6, 2, generator=stream("cpu", 0, *role), dtype=DOUBLE)  # noqa: E731
        self.batch = {"noise": draw("noise"), "data": draw("data") + 1}

    def asked(self, technique, turn):
        return technique.field(self.field)(turn, self.joint, self.buffers, self.batch)

    def by_autograd(self, turn, joint, buffers):
        """Gradients of the movers and buffers after them, by torch.autograd, to be differentiated again."""
        gradients = {}
        for player in turn:
            views = {who: self.layout.views(who, flat) for who, flat in joint.items()}
            named = {k: v for who in joint for k, v in self.layout.named(who, views[who]).items()}
            nets = Nets(self.modules, named, buffers)
            value, _ = self.game.value(player, nets, self.batch)
            (gradients[player],) = torch.autograd.grad(value, joint[player], create_graph=True)
            buffers = nets.buffers
        return gradients, buffers

    def leaves(self):
        return {player: flat.clone().requires_grad_() for player, flat in self.joint.items()}

    def products(self, turn):
        """v, J^T v and J v of all players by ordinary double backward, the movers first."""
        joint = self.leaves()
        v, buffers = self.by_autograd(turn, joint, self.buffers)
        rest, _ = self.by_autograd([player for player in joint if player not in turn], joint, buffers)
        v = [(v | rest)[player] for player in joint]
        points = list(joint.values())
        w = [torch.zeros_like(g).requires_grad_() for g in v]
        slope = torch.autograd.grad(v, points, [g.detach() for g in v], retain_graph=True)
        pulled = torch.autograd.grad(v, points, w, create_graph=True)
        push = torch.autograd.grad(pulled, w, [g.detach() for g in v])
        return [dict(zip(joint, part, strict=True)) for part in (v, slope, push)]


NORMS = ["plain", "batch", "spectral"]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_consensus_and_symplectic_by_double_backward(norm, turn):
    world = World(norm)
    v, slope, push = world.products(turn)
    consensus = world.asked(Consensus(gamma=0.7), turn).gradients
    symplectic = world.asked(Symplectic(strength=0.7, align=False), turn).gradients
    for player in turn:
        close(consensus[player], (v[player] + 0.7 * slope[player]).detach())
        close(symplectic[player], (v[player] + 0.35 * (slope[player] - push[player])).detach())
    assert (slope[turn[0]] - push[turn[0]]).norm() > 1e-4
    assert slope[turn[0]].norm() > 1e-4


def half_square(world, joint):
    v = world.field(BOTH, joint, world.buffers, world.batch).gradients
    return sum(float(g.square().sum()) for g in v.values()) / 2


def differences(function, joint, player, h=1e-5):
    """A function's gradient in one player's vector by central differences."""
    slopes = []
    for i in range(len(joint[player])):
        step = torch.zeros_like(joint[player])
        step[i] = h
        up, down = (function({**joint, player: joint[player] + sign * step}) for sign in (1, -1))
        slopes.append((up - down) / (2 * h))
    return torch.tensor(slopes, dtype=DOUBLE)


@pytest.mark.parametrize("norm", ["plain", "batch"])  # spectral norm's vectors are constants to a derivative
def test_consensus_and_symplectic_by_finite_differences(norm):
    world = World(norm)
    v = world.field(BOTH, world.joint, world.buffers, world.batch).gradients
    consensus = world.asked(Consensus(gamma=1.0), BOTH).gradients
    symplectic = world.asked(Symplectic(align=False), BOTH).gradients
    ahead, behind = (
        world.field(BOTH, {p: x + h * v[p] for p, x in world.joint.items()}, world.buffers, world.batch)
        for h in (1e-5, -1e-5)
    )
    for player in BOTH:
        slope = differences(lambda joint: half_square(world, joint), world.joint, player)
        push = (ahead.gradients[player] - behind.gradients[player]) / 2e-5
        close(consensus[player], v[player] + slope, 1e-8)
        close(symplectic[player], v[player] + (slope - push) / 2, 1e-8)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("technique", FIELDS, ids=ids)
def test_losses_probes_and_buffers_are_those_of_the_plain_evaluation(technique, norm, turn):
    world = World(norm)
    plain = world.field(turn, world.joint, world.buffers, world.batch)
    flow = world.asked(technique, turn)
    for part in ("losses", "outs", "buffers"):
        close(getattr(flow, part), getattr(plain, part), 1e-14)
    assert list(flow.gradients) == list(plain.gradients)
    for player, gradient in flow.gradients.items():
        changed = technique.name != "unrolled" or player == "generator"
        assert (not torch.equal(gradient, plain.gradients[player])) == changed
        padding = world.layout.flatten(player, [torch.ones(s.shape) for s in world.layout.slots[player]]) == 0
        assert padding.any()
        assert gradient[padding].abs().max() == 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_extragradient_is_the_field_ahead(norm, turn):
    world = World(norm)
    others = tuple(player for player in BOTH if player not in turn)
    flow = world.field(turn, world.joint, world.buffers, world.batch)
    v = flow.gradients | world.field(others, world.joint, flow.buffers, world.batch).gradients
    there = {player: world.joint[player] - 0.3 * v[player] for player in BOTH}
    expected = world.field(turn, there, world.buffers, world.batch).gradients
    found = world.asked(Extragradient(step=0.3), turn).gradients
    close(found, expected, 1e-14)


def test_extragradient_is_the_same_over_a_bound_field():
    """It need not be differentiated, so the loop's faster field serves it: that one has state to mislead."""
    world = World("batch")
    bound = Extragradient(step=0.3).field(BoundField(world.game, modules_of("batch")))
    assert not Extragradient.differentiates
    joint, buffers = world.joint, world.buffers
    for turn in TURNS * 2:
        expected = Extragradient(step=0.3).field(world.field)(turn, joint, buffers, world.batch)
        found = bound(turn, joint, buffers, world.batch)
        close(found.gradients, expected.gradients, 1e-13)
        close(found.buffers, expected.buffers, 1e-13)
        close(found.losses, {p: loss.detach() for p, loss in expected.losses.items()}, 1e-13)
        joint = joint | {player: joint[player] - 0.1 * g for player, g in expected.gradients.items()}
        buffers = expected.buffers


# -- unrolling


def unrolled_loss(world, generator, discriminator, steps, lr, differentiable):
    """The generator's loss at the discriminator after explicit gradient steps."""
    buffers = world.buffers
    for _ in range(steps):
        gradients, buffers = world.by_autograd(
            ["discriminator"], {"generator": generator, "discriminator": discriminator}, buffers
        )
        discriminator = discriminator - lr * gradients["discriminator"]
        if not differentiable:
            discriminator = discriminator.detach().requires_grad_()
    views = {
        "generator": world.layout.views("generator", generator),
        "discriminator": world.layout.views("discriminator", discriminator),
    }
    named = {k: v for who, parts in views.items() for k, v in world.layout.named(who, parts).items()}
    return world.game.value("generator", Nets(world.modules, named, buffers), world.batch)[0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("turn", TURNS[:3], ids=str)
def test_unrolled_by_autograd_through_explicit_steps(norm, turn):
    world = World(norm)
    leaves = world.leaves()
    loss = unrolled_loss(world, leaves["generator"], leaves["discriminator"], 4, 0.3, True)
    (expected,) = torch.autograd.grad(loss, leaves["generator"])
    found = world.asked(Unrolled(steps=4, lr=0.3), turn).gradients
    close(found["generator"], expected)
    if "discriminator" in turn:
        plain = world.field(turn, world.joint, world.buffers, world.batch)
        close(found["discriminator"], plain.gradients["discriminator"], 1e-14)
    stopped = unrolled_loss(world, leaves["generator"], leaves["discriminator"], 4, 0.3, False)
    (partial,) = torch.autograd.grad(stopped, leaves["generator"])
    assert (partial - expected).norm() > 1e-3 * expected.norm()  # it is the total derivative that is meant


@pytest.mark.parametrize("norm", ["plain", "batch"])
def test_unrolled_is_the_total_derivative(norm):
    world = World(norm)

    def value(joint):
        leaf = world.joint["discriminator"].clone().requires_grad_()
        return unrolled_loss(world, joint["generator"], leaf, 3, 0.3, False).item()

    expected = differences(value, world.joint, "generator")
    close(world.asked(Unrolled(steps=3, lr=0.3), ("generator",)).gradients["generator"], expected, 1e-8)


def test_unrolling_no_steps_is_plain():
    world = World("batch")
    plain = world.field(BOTH, world.joint, world.buffers, world.batch)
    close(world.asked(Unrolled(steps=0), BOTH).gradients, plain.gradients, 1e-15)


def test_unrolled_needs_both_players():
    assert Unrolled().fits(DiracGAN(), Wasserstein()) is None
    assert "discriminator" in Unrolled().fits(MLPVAE(), ELBO())


# -- in training


@pytest.fixture(scope="module")
def data(builtins):
    ring = create(builtins.get("dataset", "ring").cls, {"size": 500}).load(None)
    images = torch.rand((40, 1, 28, 28), generator=stream("cpu", 0, "images")) * 2 - 1
    digits = create(builtins.get("dataset", "digits").cls, {}).load(None)
    return {"mlp-gan": ring, "dcgan": Data(train=images, test=images[:2]), "mlp-vae": digits}


SMALL = {
    "mlp-gan": {"hidden": [8, 8]},
    "dcgan": {"width": 4, "latent": 4},
    "mlp-vae": {"hidden": [8], "latent": 2},
}


def loop_and_map(builtins, data, model, names, steps, options=None, loss="non-saturating", batch=8):
    config = variant(
        model,
        loss,
        names,
        SMALL | (options or {}),
        {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999]},
        ("vae",) if model == "mlp-vae" else BOTH,
        batch=batch,
    )
    made = Program(config, builtins, data[model])
    runs = Runs((0, 1), ({}, {}))
    looped = Looped(made, runs, data[model], CPU)
    mapped = Mapped(made, runs, data[model], CPU, Eager())
    seen, mapped_seen = looped.advance(steps), mapped.advance(steps)
    close(looped.state(), mapped.state(), 1e-10)
    torch.testing.assert_close(seen, mapped_seen, rtol=1e-10, atol=1e-10, equal_nan=True)
    assert looped.died() == [0, 0]
    return looped.state(), made


NAMES = [(technique.name,) for technique in FIELDS]
MIXED = [
    ("spectral-norm",),
    ("r1", "ema"),
    ("wgan-gp", "gradient-clipping"),
]


@pytest.mark.parametrize("name", NAMES, ids=str)
@pytest.mark.parametrize("more", [(), *MIXED], ids=str)
def test_loop_is_map(builtins, data, name, more):
    loop_and_map(builtins, data, "mlp-gan", name + more, 20 if not more else 5)


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_loop_is_map_with_batch_norm_and_convolutions(builtins, data, name):
    loop_and_map(builtins, data, "dcgan", name, 2, batch=4)


@pytest.mark.parametrize("name", [("consensus",), ("symplectic",), ("extragradient",)], ids=str)
def test_loop_is_map_of_one_player(builtins, data, name):
    """For one player, v is a gradient, J is symmetric, and nothing is left to adjust."""
    state, _ = loop_and_map(builtins, data, "mlp-vae", name, 5, loss="elbo")
    plain, _ = loop_and_map(builtins, data, "mlp-vae", (), 5, loss="elbo")
    same = torch.allclose(state.joint["vae"], plain.joint["vae"], rtol=1e-9, atol=1e-12)
    assert same == (name == ("symplectic",))


def test_they_wrap_one_another_and_clipping_comes_last(builtins, data):
    names = ("gradient-clipping", "extragradient", "consensus", "unrolled")
    options = {"unrolled": {"steps": 1}, "gradient-clipping": {"max_norm": 1e-3}}
    _, made = loop_and_map(builtins, data, "mlp-gan", names, 3, options)
    assert [technique.name for technique in made.techniques] == [
        "unrolled",
        "consensus",
        "extragradient",
        "gradient-clipping",
    ]


def test_options_are_those_of_the_papers():
    assert Consensus().gamma == 10.0
    assert (Symplectic().strength, Symplectic().align, Symplectic().epsilon) == (1.0, True, 0.1)
    assert Unrolled().steps == 5


@pytest.mark.parametrize("technique", FIELDS, ids=ids)
def test_only_the_field_is_wrapped(technique):
    wrapped = [
        arrow
        for arrow in ("network", "networks", "play", "objective", "field", "rule", "draws")
        if arrow in type(technique).__dict__
    ]
    assert wrapped == ["field"]
