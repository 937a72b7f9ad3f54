"""Two ways to differentiate a game: by torch.func, which can be mapped, or by ordinary autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from ganbench.game import Batch, Flow, Game, GradientField, Joint, Out, Turn
from ganbench.game.nets import BoundNets, Layout, Named, Nets, named_buffers, set_buffers

_ORDINARY: ContextVar[bool] = ContextVar("ordinary autograd", default=False)
"""Whether the field that is being evaluated differentiates by ordinary autograd. `input_grad` is called by
authors' code, which has no field to ask. Each thread has a value of its own; a field restores what was there
before, for it may be evaluated inside another one's objective."""


def functional_field(game: Game, modules: Mapping[str, nn.Module]) -> GradientField:
    """The gradient field by torch.func: pure, mappable, compilable, differentiable again."""
    layout = game.layout

    def gradient(
        player: str, views: Mapping[str, list[Tensor]], buffers: Named, batch: Batch
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, Named, Out]]:
        def value(*moved: Tensor) -> tuple[Tensor, tuple[Tensor, Named, Out]]:
            named: Named = {}
            for owner, own in {**views, player: moved}.items():
                named |= layout.named(owner, own)
            nets = Nets(modules, named, buffers)
            # `nets` collects the moved buffers: torch.func needs them returned, not written.
            scalar, observed = game.value(player, nets, batch)
            return scalar, (scalar, nets.buffers, observed)

        # With respect to each view: with respect to the whole vector, autograd would add up one padded vector
        # for every parameter.
        movers = tuple(range(len(views[player])))
        return torch.func.grad(value, argnums=movers, has_aux=True)(*views[player])

    def field(turn: Turn, joint: Joint, buffers: Named, batch: Batch) -> Flow:
        views = {player: layout.views(player, flat) for player, flat in joint.items()}
        flow = Flow({}, buffers, {}, {})
        token = _ORDINARY.set(False)
        try:
            for player in turn:
                parts, (loss, moved_buffers, observed) = gradient(player, views, flow.buffers, batch)
                flow.gradients[player] = layout.flatten(player, parts)
                flow.losses[player], flow.outs[player] = loss, observed
                flow = flow._replace(buffers=moved_buffers)
        finally:
            _ORDINARY.reset(token)
        return flow

    return field


class BoundField:
    """The same field by ordinary autograd, over modules that hold the point themselves.

    Still a function of its arguments: parameters and buffers are loaded into the modules, but only those
    that changed since the last call.
    """

    def __init__(self, game: Game, modules: Mapping[str, nn.Module]) -> None:
        self._game, self._modules, self._nets = game, modules, BoundNets(modules)
        self._flats, self._leaves = _take_over(game.layout, modules)
        # What was loaded last, compared by identity: nothing writes into a point, so the same object has the
        # same numbers, and a player that did not move is not copied again.
        self._joint: Joint = {}
        self._buffers = named_buffers(modules)
        self._stateful = any(self._buffers.values())

    def __call__(self, turn: Turn, joint: Joint, buffers: Named, batch: Batch) -> Flow:
        """The field at `joint`."""
        self._load(joint, buffers)
        flow = Flow({}, buffers, {}, {})
        token = _ORDINARY.set(True)
        try:
            with torch.enable_grad():
                for player in turn:
                    self._move(player, batch, flow)
        finally:
            _ORDINARY.reset(token)
        if self._stateful:
            self._buffers = named_buffers(self._modules)
        return flow._replace(buffers=self._buffers)

    def _move(self, player: str, batch: Batch, flow: Flow) -> None:
        """Write one mover's part of the flow."""
        self._track(player)
        scalar, observed = self._game.value(player, self._nets, batch)
        # a parameter that the objective does not use has a gradient of zero, as with torch.func
        parts = torch.autograd.grad(scalar, self._leaves[player], materialize_grads=True)
        flow.gradients[player] = self._game.layout.flatten(player, parts)
        flow.losses[player], flow.outs[player] = scalar.detach(), observed

    def _load(self, joint: Joint, buffers: Named) -> None:
        for player, flat in joint.items():
            if self._joint.get(player) is not flat:
                self._flats[player].copy_(flat)
                self._joint[player] = flat
        if self._stateful and self._buffers is not buffers:
            set_buffers(self._modules, buffers)

    def _track(self, mover: str) -> None:
        """Track the mover's parameters and nobody else's, so that no other gradient is computed."""
        for player, leaves in self._leaves.items():
            for leaf in leaves:
                leaf.requires_grad_(player == mover)


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
        # `named_parameters` lists a shared parameter once; the modules' own dicts have each use of it.
        for name, parameter in module._parameters.items():
            if parameter is old:
                module._parameters[name] = new


def input_grad(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of the summed output of `function` with respect to its input; differentiable again.

    Arguments:
        function: maps B x shape to outputs of which each depends on its own sample alone.
        x: B x shape.

    Returns: B x shape, each sample's own gradient.
    """
    if not _ORDINARY.get():
        return torch.func.grad(lambda inputs: function(inputs).sum())(x)
    inputs = x if x.requires_grad else x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(inputs).sum(), inputs, create_graph=True)
    return gradient
