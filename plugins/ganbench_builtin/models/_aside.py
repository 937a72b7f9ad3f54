"""Networks with two outputs: callers get the first, and can ask for the second afterwards."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ganbench import Nets


def aside(nets: Nets, net: str, beside: str) -> Nets:
    """Networks in which `net`, of outputs B x (1 + n), gives the first column alone.

    The other n of its last call are what `nets[beside]()` gives, where `beside` is an `nn.Identity` that
    belongs to no player. So both come out of one pass, and code that wraps the network (augmentation,
    penalties) need not know of it. For one evaluation of a game: make it anew in `conditioned`.
    """
    said: list[Tensor] = []

    def first(call: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def logits(x: Tensor) -> Tensor:
            whole = call(x)
            said[:] = [whole[:, 1:]]
            return whole[:, :1]

        return logits

    return nets.around(net, first).around(beside, lambda _: lambda: said[0])
