from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from ganbench.game.nets import ALIGN, BatchNorm, BoundNets, Layout, Nets, named_buffers, purified, set_buffers

DOUBLE = torch.float64


def named_parameters(nets):
    return {net: dict(module.named_parameters()) for net, module in nets.items()}


class Bag(nn.Module):
    """Parameters of given shapes."""

    def __init__(self, shapes) -> None:
        super().__init__()
        for i, shape in enumerate(shapes):
            self.register_parameter(
                f"p{i}", nn.Parameter(torch.arange(1.0, 1 + torch.Size(shape).numel()).view(shape) + i)
            )


shapes = st.lists(st.lists(st.integers(1, 5), max_size=3).map(tuple), min_size=1, max_size=4)


# -- layout


@settings(max_examples=50)
@given(first=shapes, second=shapes, third=shapes)
def test_layout_round_trip(first, second, third):
    nets = {"a": Bag(first), "b": Bag(second), "c": Bag(third)}
    layout = Layout({"ab": ("a", "b"), "c": ("c",)}, nets)
    flat = layout.pack(nets)
    assert {player: len(vector) for player, vector in flat.items()} == layout.sizes
    for player, vector in flat.items():
        views = layout.views(player, vector)
        assert all(
            view.data_ptr() == vector[slot.offset :].data_ptr()
            for view, slot in zip(views, layout.slots[player], strict=True)
        )
        for net, named in layout.named(player, views).items():
            expected = dict(nets[net].named_parameters())
            assert named.keys() == expected.keys()
            assert all(torch.equal(named[name], expected[name]) for name in named)
        assert torch.equal(layout.flatten(player, views), vector)


@settings(max_examples=50)
@given(shapes)
def test_parameters_are_aligned_apart_and_padded_with_zeros(shapes):
    nets = {"a": Bag(shapes)}
    layout = Layout({"p": ("a",)}, nets)
    flat, end = layout.pack(nets)["p"], 0
    for slot in layout.slots["p"]:
        assert slot.offset % ALIGN == 0
        assert slot.offset >= end
        assert not flat[end : slot.offset].any()
        end = slot.offset + slot.numel
    assert not flat[end:].any()
    assert len(flat) % ALIGN == 0
    assert flat.count_nonzero() == sum(torch.Size(shape).numel() for shape in shapes)


def test_packing_copies():
    nets = {"a": Bag([(3,)])}
    flat = Layout({"p": ("a",)}, nets).pack(nets)["p"]
    flat.zero_()
    assert nets["a"].p0.all()


@pytest.mark.parametrize(
    "players",
    [
        {"g": ("a",)},
        {"g": ("a",), "d": ("a", "b")},
        {"g": ("a",), "d": ("b", "c")},
    ],
)
def test_players_own_each_network_once(players):
    with pytest.raises(ValueError, match="players own"):
        Layout(players, {"a": Bag([(1,)]), "b": Bag([(1,)])})


def test_a_network_without_parameters_may_belong_to_nobody():
    state = nn.BatchNorm1d(3, affine=False)
    layout = Layout({"p": ("a",)}, {"a": nn.Linear(2, 2), "state": state})
    assert [slot.net for slot in layout.slots["p"]] == ["a", "a"]
    with pytest.raises(ValueError, match="players own"):
        Layout({"p": ("a",)}, {"a": nn.Linear(2, 2), "state": nn.BatchNorm1d(3)})


def test_shared_parameters_are_refused():
    shared = nn.Linear(2, 2)
    nets = {"generator": nn.Sequential(nn.Linear(2, 2), shared), "discriminator": nn.Sequential(shared)}
    with pytest.raises(ValueError, match="players share a parameter") as caught:
        Layout({"g": ("generator",), "d": ("discriminator",)}, nets)
    assert "generator" in str(caught.value)
    assert "discriminator.0.weight" in str(caught.value)


# -- batch norm


def pair(make, shape):
    """torch's and ours, with the same odd weights."""
    theirs = make(shape[1]).to(DOUBLE)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=DOUBLE))
    return theirs, purified(copy.deepcopy(theirs))


def inputs(shape, count=3):
    generator = torch.Generator().manual_seed(1)
    scales = [(2 + i) * torch.randn(shape, generator=generator, dtype=DOUBLE) + i for i in range(count)]
    return [x.requires_grad_() for x in scales]


def batch_norm(features):
    return nn.BatchNorm1d(features, momentum=0.3, eps=1e-3)


CASES = {
    "B x C": (batch_norm, (8, 3)),
    "B x C x L": (batch_norm, (5, 3, 4)),
    "images": (nn.BatchNorm2d, (4, 2, 3, 5)),
    "no affine": (lambda features: nn.BatchNorm2d(features, affine=False), (4, 2, 3, 3)),
}


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)
def test_batch_norm_equals_torchs(make, shape):
    theirs, ours = pair(make, shape)
    assert isinstance(ours, BatchNorm)
    for x in inputs(shape):
        out, reference = ours(x), theirs(x)
        close(out, reference)
        weights = torch.linspace(-1, 2, out.numel(), dtype=DOUBLE).view(shape)
        sources = [x, *ours.parameters()]
        close(
            torch.autograd.grad((out.sin() * weights).sum(), sources),
            torch.autograd.grad((reference.sin() * weights).sum(), [x, *theirs.parameters()]),
        )
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_var, theirs.running_var)
    before = ours.running_mean
    ours.eval(), theirs.eval()
    close(ours(x), theirs(x))
    assert ours.running_mean is before


@pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)
def test_batch_norm_equals_torchs_under_vmap(make, shape):
    theirs, ours = pair(make, shape)
    runs = inputs(shape)
    buffers = {name: torch.stack([b + i for i in range(len(runs))]) for name, b in ours.named_buffers()}
    parameters = {
        name: torch.stack([p.detach() * (i + 1) for i in range(len(runs))])
        for name, p in ours.named_parameters()
    }

    def run(parameters, buffers, x):
        def value(parameters, x):
            nets = Nets({"n": ours}, {"n": parameters}, {"n": buffers})
            out = nets["n"](x)
            return out.sin().square().sum(), (out, nets.buffers["n"])

        return torch.func.grad(value, argnums=(0, 1), has_aux=True)(parameters, x)

    (gradients, input_gradient), (out, moved) = torch.vmap(run)(
        parameters, buffers, torch.stack(runs).detach()
    )
    for i, x in enumerate(runs):
        alone = copy.deepcopy(theirs)
        with torch.no_grad():
            for name, p in alone.named_parameters():
                p.copy_(parameters[name][i])
            for name in buffers:
                alone.get_buffer(name).copy_(buffers[name][i])
        reference = alone(x)
        close(out[i], reference)
        expected = torch.autograd.grad(reference.sin().square().sum(), [x, *alone.parameters()])
        close([input_gradient[i], *(g[i] for g in gradients.values())], list(expected))
        for name in buffers:
            close(moved[name][i], alone.get_buffer(name))


@pytest.mark.parametrize("options", [{"track_running_stats": False}, {"momentum": None}])
def test_batch_norm_that_cannot_be_threaded_is_refused(options):
    with pytest.raises(ValueError, match="running statistics"):
        purified(nn.Sequential(nn.BatchNorm1d(2, **options)))


def test_purified_reaches_nested_modules_and_leaves_the_rest():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()))
    linear = net[0]
    assert purified(net) is net
    assert net[0] is linear
    assert [type(m) for m in net[1]] == [BatchNorm, nn.ReLU]


# -- buffers


def small_net():
    net = purified(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))).to(DOUBLE)
    return {"n": net}


def buffer_values(named):
    return {name: tensor.clone() for name, tensor in named["n"].items()}


X = torch.linspace(-1, 3, 8, dtype=DOUBLE).view(4, 2)


@pytest.mark.parametrize("bound", [False, True], ids=["functional", "bound"])
def test_training_calls_move_buffers_and_frozen_ones_do_not(bound):
    modules = small_net()
    nets = BoundNets(modules) if bound else Nets(modules, named_parameters(modules), named_buffers(modules))

    def buffers():
        return buffer_values(named_buffers(modules) if bound else nets.buffers)

    start = buffers()
    frozen = nets.frozen
    frozen_out = frozen["n"](X)
    assert bound or frozen.buffers is nets.buffers
    close(buffers(), start)
    out = nets["n"](X)
    close(out, frozen_out)
    moved = buffers()
    assert not torch.equal(moved["1.running_mean"], start["1.running_mean"])
    assert not torch.equal(moved["1.running_var"], start["1.running_var"])
    nets.frozen["n"](5 * X)
    close(buffers(), moved)
    nets["n"](X)
    assert not torch.equal(buffers()["1.running_mean"], moved["1.running_mean"])


def test_frozen_buffers_come_back_after_an_error():
    modules = small_net()
    before = dict(modules["n"].named_buffers())
    failing = nn.Sequential(*modules["n"], nn.Linear(7, 1, dtype=DOUBLE))
    with pytest.raises(RuntimeError):
        BoundNets({"n": failing}).frozen["n"](X)
    assert all(failing.get_buffer(name) is before[name] for name in before)


def test_functional_nets_leave_the_modules_as_they_are():
    modules = small_net()
    kept = copy.deepcopy(modules["n"].state_dict())
    parameters = {"n": {name: p.detach() * 2 for name, p in modules["n"].named_parameters()}}
    nets = Nets(modules, parameters, named_buffers(modules))
    out = nets["n"](X)
    close(dict(modules["n"].state_dict()), dict(kept))
    reference = copy.deepcopy(modules["n"])
    close(out, functional_call(reference, parameters["n"], (X,)))


def test_set_buffers_rebinds():
    modules = small_net()
    new = {name: torch.full_like(b, 7.0) for name, b in modules["n"].named_buffers()}
    set_buffers(modules, {"n": new})
    assert all(modules["n"].get_buffer(name) is new[name] for name in new)
