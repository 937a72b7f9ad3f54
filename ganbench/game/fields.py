"""Two ways to differentiate a game: by torch.func, which can be mapped, or by ordinary autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganbench.game import Batch, Flow, Game, GradientField, Joint, Out, Turn
from ganbench.game.nets import BoundNets, Layout, Named, Nets, named_buffers, set_buffers


def functional_field(game: Game, modules: Mapping[str, nn.Module]) -> GradientField:
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


def bound_field(game: Game, modules: Mapping[str, nn.Module]) -> GradientField:
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
