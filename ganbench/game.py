"""The one concept: a differentiable game of n players, and its gradient vector field.

A game evaluates one player's objective at a point. Who differentiates it, and how, is the field's
business: `functional_field` (torch.func: can be mapped over a stack and compiled) or `bound_field`
(ordinary autograd over modules that own their parameters: the fastest way to run a single run eagerly).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganbench.nets import BoundNets, Layout, Named, Nets, named_buffers, set_buffers

Turn = tuple[str, ...]
"""The players that move together in one update."""
Joint = dict[str, Tensor]
"""The point in the game: player -> its parameters, one vector."""
Batch = Mapping[str, Tensor]
"""Data and every random draw of one turn."""
Out = dict[str, Tensor]
"""What a model's `play` gives."""
Play = Callable[[str, Nets, Batch], Out]
Objective = Callable[[str, Nets, Batch, Out], Tensor]
"""(player, networks at the joint point, batch, out) -> scalar that the player lowers."""


class Flow(NamedTuple):
    """What a turn's field gives: gradients of the movers, moved buffers, and what probes saw."""

    gradients: Joint
    buffers: Named
    losses: dict[str, Tensor]
    outs: dict[str, dict[str, Tensor]]


Field = Callable[[Turn, Joint, Named, Batch], Flow]
"""(turn, joint, buffers, batch) -> Flow"""


class Game(NamedTuple):
    """Players, turns, and how to evaluate an objective. `layout` says who owns which parameters."""

    layout: Layout
    turns: tuple[Turn, ...]
    play: Play
    objective: Objective
    observe: Callable[[str, Out], dict[str, Tensor]]
    conditioned: Callable[[Nets, Batch], Nets] = lambda nets, batch: nets

    def value(self, player: str, nets: Nets, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """One player's objective, and the probes of its out."""
        nets = self.conditioned(nets, batch)
        out = self.play(player, nets, batch)
        observed = {name: tensor.detach() for name, tensor in self.observe(player, out).items()}
        return self.objective(player, nets, batch, out), observed


def functional_field(game: Game, modules: Mapping[str, nn.Module]) -> Field:
    """The gradient field by torch.func: pure, mappable, compilable, differentiable again."""
    layout = game.layout

    def field(turn: Turn, joint: Joint, buffers: Named, batch: Batch) -> Flow:
        views = {player: layout.views(player, flat) for player, flat in joint.items()}
        flow = Flow({}, buffers, {}, {})

        def gradient(player: str, buffers: Named) -> tuple[tuple[Tensor, ...], tuple[Tensor, Named, Out]]:
            def value(*moved: Tensor) -> tuple[Tensor, tuple[Tensor, Named, Out]]:
                point = {**views, player: moved}
                named = {k: v for who in point for k, v in layout.named(who, point[who]).items()}
                nets = Nets(modules, named, buffers)
                scalar, observed = game.value(player, nets, batch)
                return scalar, (scalar, nets.buffers, observed)

            movers = tuple(range(len(views[player])))
            return torch.func.grad(value, argnums=movers, has_aux=True)(*views[player])

        for player in turn:
            parts, (loss, moved_buffers, observed) = gradient(player, flow.buffers)
            flow.gradients[player] = layout.flatten(player, parts)
            flow.losses[player], flow.outs[player] = loss, observed
            flow = flow._replace(buffers=moved_buffers)
        return flow

    return field


def bound_field(game: Game, modules: Mapping[str, nn.Module]) -> Field:
    """The same field by ordinary autograd, over modules that hold the point themselves.

    Still a function of its arguments: parameters and buffers are loaded into the modules, but only those
    that changed since the last call.
    """
    layout, nets = game.layout, BoundNets(modules)
    flats, leaves = _take_over(layout, modules)
    held_joint: Joint = {}
    stateful = any(named_buffers(modules).values())
    held_buffers: list[Named] = [named_buffers(modules)]

    def load(joint: Joint, buffers: Named) -> None:
        for player, flat in joint.items():
            if held_joint.get(player) is not flat:
                flats[player].copy_(flat)
                held_joint[player] = flat
        if stateful and held_buffers[0] is not buffers:
            set_buffers(modules, buffers)

    def field(turn: Turn, joint: Joint, buffers: Named, batch: Batch) -> Flow:
        load(joint, buffers)
        flow = Flow({}, buffers, {}, {})
        for player in turn:
            with _only(player, leaves), _ordinary_autograd():
                scalar, observed = game.value(player, nets, batch)
                parts = torch.autograd.grad(scalar, leaves[player], materialize_grads=True)
            flow.gradients[player] = layout.flatten(player, parts)
            flow.losses[player], flow.outs[player] = scalar.detach(), observed
        if stateful:
            held_buffers[0] = named_buffers(modules)
        return flow._replace(buffers=held_buffers[0])

    return field


def _take_over(layout: Layout, modules: Mapping[str, nn.Module]) -> tuple[Joint, dict[str, list[Tensor]]]:
    """Make every parameter a leaf that is a view of its player's vector."""
    flats, leaves = layout.pack(modules), dict[str, list[Tensor]]()
    for player, slots in layout.slots.items():
        held = [nn.Parameter(view) for view in layout.views(player, flats[player])]
        leaves[player] = list(held)
        for slot, leaf in zip(slots, held, strict=True):
            _put(modules[slot.net], modules[slot.net].get_parameter(slot.name), leaf)
    return flats, leaves


def _put(net: nn.Module, old: nn.Parameter, new: nn.Parameter) -> None:
    """Put a parameter in another's place, everywhere: a network may use one twice."""
    for module in net.modules():
        for name, parameter in module._parameters.items():
            if parameter is old:
                module._parameters[name] = new


@contextmanager
def _only(mover: str, leaves: Mapping[str, Sequence[Tensor]]) -> Iterator[None]:
    """Track the mover's parameters and nobody else's, so that no other gradient is computed."""
    for player, tensors in leaves.items():
        for tensor in tensors:
            tensor.requires_grad_(player == mover)
    yield


_autograd_is_ordinary = False


@contextmanager
def _ordinary_autograd() -> Iterator[None]:
    global _autograd_is_ordinary
    _autograd_is_ordinary = True
    try:
        with torch.enable_grad():
            yield
    finally:
        _autograd_is_ordinary = False


def input_grad(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of the summed output of `function` with respect to its input; differentiable again.

    Arguments:
        function: maps B x shape to outputs of which each depends on its own sample alone.
        x: B x shape.

    Returns: B x shape, each sample's own gradient.
    """
    if not _autograd_is_ordinary:
        return torch.func.grad(lambda inputs: function(inputs).sum())(x)
    inputs = x if x.requires_grad else x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(inputs).sum(), inputs, create_graph=True)
    return gradient
