"""Networks as functions of parameters, buffers and input, and one run's parameters as flat vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

Named = dict[str, dict[str, Tensor]]
"""network -> name -> tensor"""

Call = Callable[..., Tensor]
"""A network as its author calls it. The output of one that returns several tensors must be cast."""

ALIGN = 16
"""Parameters begin at multiples of this many numbers: 64 bytes in float32, a cache line. Vector instructions
are slower on views that begin in the middle of one."""


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in its player's vector."""

    net: str
    name: str
    offset: int
    shape: torch.Size

    @property
    def numel(self) -> int:
        """The number of entries."""
        return self.shape.numel()

    @property
    def padding(self) -> int:
        """Unused entries between it and the next parameter."""
        return -self.numel % ALIGN


class Layout:
    """How each player's parameters lie in one vector. Players never share a network.

    Networks without parameters need not belong to a player: they only keep state.
    """

    def __init__(self, players: Mapping[str, tuple[str, ...]], nets: Mapping[str, nn.Module]) -> None:
        owned = [net for names in players.values() for net in names]
        stateful = {name for name, net in nets.items() if next(net.parameters(), None) is None}
        if sorted(owned) != sorted(nets.keys() - (stateful - set(owned))):
            raise ValueError(f"players own {sorted(owned)}, but the networks are {sorted(nets)}")
        _assert_disjoint(nets)
        # The order of networks and parameters fixes the offsets, which checkpoints rely on.
        self.slots: dict[str, list[Slot]] = {}
        self.sizes: dict[str, int] = {}
        for player, names in players.items():
            slots, offset = [], 0
            for net in names:
                for name, parameter in nets[net].named_parameters():
                    slots.append(Slot(net, name, offset, parameter.shape))
                    offset += slots[-1].numel + slots[-1].padding
            self.slots[player], self.sizes[player] = slots, offset

    def views(self, player: str, flat: Tensor) -> list[Tensor]:
        """The parameters as views of the player's vector, in slot order."""
        return [flat[s.offset : s.offset + s.numel].view(s.shape) for s in self.slots[player]]

    def named(self, player: str, tensors: Iterable[Tensor]) -> Named:
        """Tensors in slot order by network and name."""
        result: Named = {}
        for slot, tensor in zip(self.slots[player], tensors, strict=True):
            result.setdefault(slot.net, {})[slot.name] = tensor
        return result

    def parameters(self, joint: Mapping[str, Tensor]) -> Named:
        """The parameters of all players as views of their vectors, by network and name."""
        parameters: Named = {}
        for player, flat in joint.items():
            parameters |= self.named(player, self.views(player, flat))
        return parameters

    def flatten(self, player: str, tensors: Iterable[Tensor]) -> Tensor:
        """One vector of tensors in slot order; padding is zero."""
        parts = []
        for slot, tensor in zip(self.slots[player], tensors, strict=True):
            parts.append(tensor.reshape(-1))
            if slot.padding:
                parts.append(tensor.new_zeros(slot.padding))
        return torch.cat(parts)

    def pack(self, nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """Every player's vector, copied from modules."""
        return {
            player: self.flatten(player, [nets[s.net].get_parameter(s.name).detach() for s in slots])
            for player, slots in self.slots.items()
        }


def _assert_disjoint(nets: Mapping[str, nn.Module]) -> None:
    owner: dict[int, str] = {}
    for net, module in nets.items():
        for name, parameter in module.named_parameters():
            if owner.setdefault(id(parameter), net) != net:
                raise ValueError(
                    f"{net}.{name} also belongs to {owner[id(parameter)]}: players share a parameter"
                )


class Nets:
    """The networks at one point of the game: `nets[name](x)`.

    Calls in training thread the buffers (batch norm's statistics, spectral norm's vectors) from one call
    to the next. `nets.frozen[name](x)` uses them and leaves them as they are, which is what penalties want.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], parameters: Named, buffers: Named, moving: bool = True
    ) -> None:
        self._modules, self._parameters, self.buffers, self._moving = modules, parameters, buffers, moving

    def __getitem__(self, net: str) -> Call:
        def call(*inputs: Tensor) -> Tensor:
            buffers = dict(self.buffers[net])
            # `get`: a network that only keeps state has no parameters.
            values = {**self._parameters.get(net, {}), **buffers}
            out = functional_call(self._modules[net], values, inputs)
            if self._moving and buffers:
                # modules rebind buffers (see BatchNorm), and functional_call leaves the new ones in `values`
                self.buffers = {**self.buffers, net: {name: values[name] for name in buffers}}
            return out

        return call

    @property
    def frozen(self) -> Nets:
        """The same networks with buffers that never move."""
        return Nets(self._modules, self._parameters, self.buffers, moving=False)

    def parameters(self, net: str) -> dict[str, Tensor]:
        """The parameters of a network, by name."""
        return dict(self._parameters.get(net, {}))

    def around(self, net: str, wrap: Callable[[Call], Call]) -> Nets:
        """The same networks, but calls of `net` are calls of `wrap(call)`."""
        return _Around(self, net, wrap)


class _Around(Nets):
    """Networks of which one is called through a wrapper. Buffers are those of the networks within."""

    def __init__(self, inner: Nets, net: str, wrap: Callable[[Call], Call]) -> None:
        self._inner, self._net, self._wrap = inner, net, wrap

    def __getitem__(self, net: str) -> Call:
        return self._wrap(self._inner[net]) if net == self._net else self._inner[net]

    @property
    def frozen(self) -> Nets:
        """The same networks with buffers that never move."""
        return _Around(self._inner.frozen, self._net, self._wrap)

    def parameters(self, net: str) -> dict[str, Tensor]:
        """The parameters of a network, by name."""
        return self._inner.parameters(net)


class BoundNets(Nets):
    """`Nets` over modules that own their run's parameters and buffers: no cost a call, eager only."""

    def __init__(self, modules: Mapping[str, nn.Module], moving: bool = True) -> None:
        self._modules, self._moving = modules, moving

    def __getitem__(self, net: str) -> Call:
        module = self._modules[net]
        if self._moving or not _stateful(module):
            return module  # nothing in between: a wrapper would cost every call of the loop
        return lambda *inputs: _call_frozen(module, inputs)

    @property
    def frozen(self) -> Nets:
        """The same networks with buffers that never move."""
        return BoundNets(self._modules, moving=False)

    def parameters(self, net: str) -> dict[str, Tensor]:
        """The parameters of a network, by name."""
        return dict(self._modules[net].named_parameters())


def _stateful(module: nn.Module) -> bool:
    return next(module.buffers(), None) is not None


def _call_frozen(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Buffers are rebound, never written into, so the old ones need only be put back."""
    old_buffers = [(part, dict(part._buffers)) for part in module.modules() if part._buffers]
    try:
        return module(*inputs)
    finally:
        for part, buffers in old_buffers:
            part._buffers.update(buffers)


def named_buffers(nets: Mapping[str, nn.Module]) -> Named:
    """All buffers by network and name."""
    return {net: dict(module.named_buffers()) for net, module in nets.items()}


def set_buffers(nets: Mapping[str, nn.Module], buffers: Named) -> None:
    """Rebind buffers by network and name."""
    for net, named in buffers.items():
        for path, tensor in named.items():
            owner, _, name = path.rpartition(".")
            nets[net].get_submodule(owner)._buffers[name] = tensor


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) whose statistics are rebound, not
    written into, so that they can be threaded through a mapped step. Drop-in for torch's over B x C x …
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        if not source.track_running_stats or source.momentum is None:
            raise ValueError("batch norm must track running statistics with a fixed momentum")
        self.weight, self.bias = source.weight, source.bias
        self.eps, self.momentum = source.eps, source.momentum
        self.register_buffer("running_mean", source.running_mean)
        self.register_buffer("running_var", source.running_var)
        self.train(source.training)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x … to the same shape."""
        if not self.training:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        # without running statistics: given them, the kernel would write into them, which vmap refuses
        out, mean, inverse_std = torch.native_batch_norm(
            x, self.weight, self.bias, None, None, True, 0.0, self.eps
        )
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            # The kernel gives 1 / sqrt(var + eps) of the biased variance. Running statistics hold the
            # unbiased one (Algorithm 2 of the paper: m / (m - 1)), as torch's own do.
            variance = (inverse_std.detach().pow(-2) - self.eps) * (count / (count - 1))
            self.running_mean = self.running_mean + self.momentum * (mean.detach() - self.running_mean)
            self.running_var = self.running_var + self.momentum * (variance - self.running_var)
        return out


def purified(net: nn.Module) -> nn.Module:
    """`net` with torch's batch norms replaced by threadable ones."""
    if isinstance(net, nn.modules.batchnorm._BatchNorm):
        return BatchNorm(net)
    for name, child in net.named_children():
        setattr(net, name, purified(child))
    return net
