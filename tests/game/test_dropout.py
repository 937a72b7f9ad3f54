"""Dropout by counter: shares, scales, purity, and the same masks in a stack as alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

import ganbench
from ganbench.game.draws import isolated_rng
from ganbench.game.nets import BoundNets, Nets, named_buffers


def made(p: float = 0.25, channels: bool = False, seed: int = 0) -> ganbench.Dropout:
    with isolated_rng(seed, "init"):
        return ganbench.Dropout(p, channels)


def test_it_drops_that_share_and_keeps_the_mean():
    layer, x = made(), torch.ones(400, 250)
    out = layer(x)
    dropped = (out == 0).double().mean()
    assert dropped == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / x.numel()) ** 0.5)
    assert out[out != 0].unique() == pytest.approx(4 / 3)


def test_calls_and_seeds_have_masks_of_their_own_and_can_be_repeated():
    x = torch.ones(64, 32)
    layer, again, other = made(), made(), made(seed=1)
    first, second = layer(x), layer(x)
    assert torch.equal(first, again(x))
    for mask in (second, other(x)):
        # independent masks of a quarter agree in 1 - 2 * 1/4 * 3/4 of the places
        assert float((mask == first).double().mean()) == pytest.approx(0.625, abs=0.06)


def test_whole_channels():
    out = made(0.5, channels=True)(torch.ones(20, 30, 4, 4)).flatten(2)
    assert torch.equal(out, out[..., :1].expand_as(out))
    assert 0.3 < float((out == 0).double().mean()) < 0.7


def test_samples_are_drawn_without_it():
    layer, x = made().eval(), torch.ones(5, 5)
    assert torch.equal(layer(x), x)
    assert int(layer.calls) == 0


def test_it_takes_no_random_number_in_a_call():
    layer = made()
    before = torch.random.get_rng_state()
    layer(torch.ones(5, 5))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("bound", [True, False])
def test_frozen_networks_count_no_call(bound):
    nets = {"d": nn.Sequential(nn.Flatten(), made())}
    held = BoundNets(nets) if bound else Nets(nets, {}, named_buffers(nets))
    x = torch.ones(8, 8)
    frozen = [held.frozen["d"](x) for _ in range(2)]
    moving = [held["d"](x) for _ in range(2)]
    assert torch.equal(frozen[0], frozen[1])
    assert torch.equal(frozen[0], moving[0])
    assert not torch.equal(moving[0], moving[1])


def test_runs_of_a_stack_have_the_masks_that_they_have_alone():
    layers, x = [made(seed=seed) for seed in range(3)], torch.randn(3, 7, 5)
    for _ in range(2):  # of different age
        layers[1](x[1])
    buffers = {name: torch.stack([getattr(one, name) for one in layers]) for name in ("key", "calls")}
    template = copy.deepcopy(layers[0])
    stacked = torch.vmap(lambda held, x: functional_call(template, held, (x,)))(buffers, x)
    assert torch.equal(stacked, torch.stack([one(of) for one, of in zip(layers, x, strict=True)]))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(p):
    with pytest.raises(ValueError, match="p must be"):
        ganbench.Dropout(p)
