from __future__ import annotations

import copy
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn
from toys import ToyGAN, ToyLoss, ToyPenalty, variant

import ganbench
from ganbench.components.data import DataSpec
from ganbench.engine.program import Program
from ganbench.game import Game
from ganbench.game.fields import BoundField, functional_field
from ganbench.game.nets import Layout, named_buffers, purified
from ganbench.game.probes import observe
from ganbench.game.step import ALONE

DOUBLE = torch.float64
SPEC = DataSpec((2,))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def modules(norm=True):
    nets = {name: purified(net).to(DOUBLE) for name, net in ToyGAN(norm=norm).networks(SPEC).items()}
    g = generator()
    for net in nets.values():
        for parameter in net.parameters():
            parameter.data = torch.randn(parameter.shape, generator=g, dtype=DOUBLE)
    return nets


def batch(seed=1):
    g = generator(seed)
    return {
        "data": torch.randn(6, 2, generator=g, dtype=DOUBLE),
        "noise": torch.randn(6, 2, generator=g, dtype=DOUBLE),
        "toy-penalty/shift": torch.rand(6, 2, generator=g, dtype=DOUBLE),
    }


def make_game(nets, penalty=True, together=False):
    model, loss = ToyGAN(norm=True, together=together), ToyLoss(sharpness=1.5)

    def objective(player, nets, batch, out):
        return getattr(loss, player)(out)

    if penalty:
        objective = ToyPenalty().objective(objective)
    return Game(
        Layout(model.players(), nets), model.turns(), model.play, objective, partial(observe, model.judges())
    )


def both_fields(penalty=True):
    """The two fields of one game, and its point and buffers."""
    nets = modules()
    game = make_game(nets, penalty)
    joint = game.layout.pack(nets)
    fields = (functional_field(game, nets), BoundField(game, copy.deepcopy(nets)))
    return game, fields, joint, copies(named_buffers(nets))


def copies(buffers):
    return {net: {name: b.clone() for name, b in named.items()} for net, named in buffers.items()}


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def value_at(game, nets, player, joint, buffers, batch):
    """The objective by plain forward evaluation (input gradients inside by torch.func)."""
    from ganbench.game.nets import Nets

    named = {
        net: values
        for who, flat in joint.items()
        for net, values in game.layout.named(who, game.layout.views(who, flat)).items()
    }
    return game.value(player, Nets(nets, named, buffers), batch)[0]


def finite_differences(function, x, h=1e-6):
    flat, out = x.reshape(-1), torch.empty_like(x).reshape(-1)
    for i in range(len(flat)):
        step = torch.zeros_like(flat)
        step[i] = h
        up, down = (function((flat + sign * step).view(x.shape)) for sign in (1, -1))
        out[i] = (up - down) / (2 * h)
    return out.view(x.shape)


TURNS = [("discriminator",), ("generator",), ("discriminator", "generator")]


@pytest.mark.parametrize("turn", TURNS, ids="+".join)
def test_both_fields_are_the_same(turn):
    _, (functional, bound), joint, buffers = both_fields()
    ours, theirs = functional(turn, joint, buffers, batch()), bound(turn, joint, buffers, batch())
    assert list(ours.gradients) == list(theirs.gradients) == list(turn)
    close(ours.gradients, theirs.gradients)
    close(ours.losses, theirs.losses)
    close(ours.outs, theirs.outs)
    close(ours.buffers, theirs.buffers)
    moved, start = ours.buffers["generator"], buffers["generator"]
    assert all(not torch.equal(moved[name], start[name]) for name in start)


@pytest.mark.parametrize("which", [0, 1], ids=["functional", "bound"])
@pytest.mark.parametrize("turn", TURNS, ids="+".join)
def test_gradient_is_the_movers_alone_and_equals_finite_differences(turn, which):
    game, fields, joint, buffers = both_fields()
    nets, point = modules(), {player: flat.clone() for player, flat in joint.items()}
    flow = fields[which](turn, joint, buffers, batch())
    assert set(flow.gradients) == set(turn)
    for player in turn:
        expected = finite_differences(
            lambda flat, player=player: value_at(
                game, nets, player, joint | {player: flat}, buffers, batch()
            ),
            joint[player],
        )
        assert expected.norm() > 1e-2
        close(flow.gradients[player], expected, 1e-7)
        close(flow.losses[player], value_at(game, nets, player, joint, buffers, batch()))
    assert all(torch.equal(joint[player], point[player]) for player in point)


@pytest.mark.parametrize("which", [0, 1], ids=["functional", "bound"])
def test_players_of_one_turn_look_at_the_same_point(which):
    _, fields, joint, buffers = both_fields()
    field = fields[which]
    together = field(("discriminator", "generator"), joint, buffers, batch()).gradients
    for player in together:
        alone = field((player,), joint, buffers, batch()).gradients[player]
        close(together[player], alone)


@pytest.mark.parametrize("which", [0, 1], ids=["functional", "bound"])
def test_a_field_is_a_function_of_its_arguments(which):
    _, fields, joint, buffers = both_fields()
    field = fields[which]
    turn, elsewhere = TURNS[2], {player: flat + 0.3 for player, flat in joint.items()}
    kept = copies(buffers)
    first = field(turn, joint, buffers, batch())
    moved = copies(first.buffers)
    field(turn, elsewhere, first.buffers, batch(5))
    field(("generator",), joint | {"generator": elsewhere["generator"]}, buffers, batch(6))
    again = field(turn, joint, buffers, batch())
    close(first.gradients, again.gradients, 0)
    close(again.buffers, moved, 0)
    close(first.buffers, moved, 0)
    close(buffers, kept, 0)


def test_functional_field_maps_over_runs():
    _, (functional, bound), joint, buffers = both_fields()
    runs = 3
    points = {
        player: torch.stack([flat * (1 + k / 5) for k in range(runs)]) for player, flat in joint.items()
    }
    batches = {name: torch.stack([batch(k)[name] for k in range(runs)]) for name in batch()}
    stacked = {net: {n: torch.stack([b] * runs) for n, b in named.items()} for net, named in buffers.items()}
    flow = torch.vmap(lambda *args: functional(TURNS[2], *args))(points, stacked, batches)
    for k in range(runs):
        alone = bound(TURNS[2], {p: flat[k] for p, flat in points.items()}, buffers, batch(k))
        close({p: g[k] for p, g in flow.gradients.items()}, alone.gradients)
        close(flow.buffers["generator"]["1.running_mean"][k], alone.buffers["generator"]["1.running_mean"])


def test_functional_field_can_be_differentiated_again():
    _, (functional, _), joint, buffers = both_fields()

    def gradient(flat):
        return functional(("generator",), joint | {"generator": flat}, buffers, batch()).gradients[
            "generator"
        ]

    jacobian = torch.func.jacrev(gradient)(joint["generator"])
    direction = torch.linspace(-1, 1, len(joint["generator"]), dtype=DOUBLE)
    h = 1e-5
    numeric = (
        gradient(joint["generator"] + h * direction) - gradient(joint["generator"] - h * direction)
    ) / (2 * h)
    close(jacobian @ direction, numeric, 1e-7)
    close(jacobian, jacobian.mT, 1e-10)


def tied_field(make):
    tied = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)).to(DOUBLE)
    with torch.no_grad():
        tied[0].weight.copy_(torch.tensor([[0.5, -1.0], [2.0, 0.3]]))
        tied[0].bias.zero_()
        tied[2].bias.zero_()
    tied[2].weight = tied[0].weight
    nets = {"n": tied}
    layout = Layout({"p": ("n",)}, nets)
    play = lambda player, nets, batch: {"y": nets["n"](batch["data"])}  # noqa: E731
    game = Game(layout, (("p",),), play, lambda p, n, b, out: out["y"].square().sum(), lambda p, o: {})
    joint = layout.pack(nets)
    return make(game, copy.deepcopy(nets))(("p",), joint, {"n": {}}, {"data": batch()["data"]}).gradients["p"]


def test_weights_tied_inside_one_network_agree():
    close(tied_field(functional_field), tied_field(BoundField))


# -- input_grad


def bump(x):
    return (x[:, :1] * x[:, 1:]).sin() + x.square().sum(1, keepdim=True)


def bump_slope(x):
    """By hand."""
    inner = (x[:, :1] * x[:, 1:]).cos()
    return torch.cat([inner * x[:, 1:], inner * x[:, :1]], 1) + 2 * x


X = torch.linspace(-1.5, 2, 8, dtype=DOUBLE).view(4, 2)


def test_input_grad_is_each_samples_own():
    close(ganbench.input_grad(bump, X), bump_slope(X))
    close(ganbench.input_grad(bump, X), finite_differences(lambda x: bump(x).sum(), X), 1e-8)


class Slope(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.7, -1.2], dtype=DOUBLE))

    def forward(self, x):
        return (x * self.w).tanh().prod(1, keepdim=True)


@pytest.mark.parametrize("make", [functional_field, BoundField])
@pytest.mark.parametrize("through", [False, True], ids=["data", "generated"])
def test_input_grad_inside_a_field(make, through):
    """Its value, and the gradient of a penalty on it, against finite differences.

    `through`: the place itself depends on the mover, so that the penalty reaches it on two ways.
    """
    nets = {"d": Slope()}
    layout = Layout({"p": ("d",)}, nets)
    seen = {}

    def play(player, nets, batch):
        return {"probe": nets["d"](batch["data"])}

    def objective(player, nets, batch, out):
        x = batch["data"] + (nets["d"](batch["data"]) if through else 0.0)
        slope = ganbench.input_grad(nets.frozen["d"], x)
        return slope.square().sum(1).mean()

    def observe(player, out):
        seen["out"] = out["probe"]
        return {}

    def by_hand(flat):
        w = flat[:2]

        def d(x):
            return (x * w).tanh().prod(1, keepdim=True)

        x = X + (d(X) if through else 0.0)
        slope = torch.stack([finite_differences(lambda r: d(r[None]).sum(), row, 1e-4) for row in x])
        return slope.square().sum(1).mean()

    game = Game(layout, (("p",),), play, objective, observe)
    joint = layout.pack(nets)
    flow = make(game, copy.deepcopy(nets))(("p",), joint, {"d": {}}, {"data": X})
    close(flow.losses["p"], by_hand(joint["p"]), 1e-7)
    close(flow.gradients["p"], finite_differences(by_hand, joint["p"], 1e-3), 1e-5)


def field_of(make, objective):
    """A field of one player whose objective calls `objective`, then `input_grad` of its network."""
    nets = {"d": Slope()}
    layout = Layout({"p": ("d",)}, nets)

    def value(player, nets, batch, out):
        objective()
        return ganbench.input_grad(nets["d"], batch["data"]).square().sum(1).mean()

    game = Game(layout, (("p",),), lambda player, nets, batch: {}, value, lambda player, out: {})
    field, joint = make(game, nets), layout.pack(nets)
    return lambda: field(("p",), joint, {"d": {}}, {"data": X})


def nothing():
    pass


class Counted:
    """`torch.func.grad`, which counts its calls by thread."""

    def __init__(self, monkeypatch):
        self.calls, self._grad = Counter(), torch.func.grad
        monkeypatch.setattr(torch.func, "grad", self)

    def __call__(self, *arguments, **options):
        self.calls[threading.current_thread().name] += 1
        return self._grad(*arguments, **options)


@pytest.mark.parametrize("inner", [functional_field, BoundField])
def test_a_field_may_be_evaluated_inside_another_ones_objective(monkeypatch, inner):
    inside, results = field_of(inner, nothing), []
    expected = inside()
    outside = field_of(BoundField, lambda: results.append(inside()))
    counted = Counted(monkeypatch)
    flow = outside()
    close(flow.gradients, expected.gradients)
    close(results[0].gradients, expected.gradients)
    # a functional field calls it for its player and for the input inside; the outer field never
    assert counted.calls.total() == (2 if inner is functional_field else 0)


def test_a_field_that_raises_leaves_no_trace(monkeypatch):
    def fail():
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        field_of(BoundField, fail)()
    counted = Counted(monkeypatch)
    close(ganbench.input_grad(bump, X), bump_slope(X))
    assert counted.calls.total() == 1


def test_two_threads_differentiate_each_in_its_own_way(monkeypatch):
    expected = field_of(functional_field, nothing)()
    both_are_inside = threading.Barrier(2, timeout=30)
    counted = Counted(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(named_thread, name, field_of(make, both_are_inside.wait))
            for name, make in (("functional", functional_field), ("bound", BoundField))
        ]
        flows = [run.result() for run in runs]
    for flow in flows:
        close(flow.gradients, expected.gradients)
    assert counted.calls == {"functional": 2}


def named_thread(name, call):
    threading.current_thread().name = name
    return call()


# -- a game out of a program


def duel(toys, blob, together=True, pull=1.0):
    config = variant(
        "toy-duel",
        "toy-saddle",
        options={"toy-duel": {"together": together}, "toy-saddle": {"pull": pull}},
        optimizer={"name": "sgd", "lr": 0.1},
        players=("low", "high"),
    )
    return Program(config, toys, blob)


@pytest.mark.parametrize("alone", [False, True], ids=["functional", "bound"])
@pytest.mark.parametrize("together", [True, False])
def test_a_step_of_the_saddle_by_hand(toys, blob, together, alone):
    program = duel(toys, blob, together)
    state = program.initial(0, {})
    x, y, h = 1.0, -0.5, 0.1
    step = program.step_alone({}, ALONE, "cpu") if alone else program.step({})
    for k in range(1, 6):
        data = [{"data": blob.train[:4].double()}] * len(program.turns)
        state, _ = step(state, data, k)
        new_x = x - h * (y + x / 10)
        y = y + h * (x if together else new_x)
        x = new_x
        close(state.joint["low"][0].item(), x)
        close(state.joint["high"][0].item(), y)
