"""Dropout whose masks are functions of the run, the layer and the number of the call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganbench.game.philox.tensors import philox

_WORD = 0xFFFFFFFF


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) for networks of a model: use it in place of torch's.

    torch's draws from the global generator: not a function of the run's seed, and not the same in a stack.
    Here the mask of a call depends on a key, which is drawn when the network is made, and on the number of
    calls, which is kept in a buffer. So a resumed run goes on with the masks that an uninterrupted one has.
    Calls of frozen networks (penalties) use the mask of the next call and count none. It does nothing when
    samples are drawn.

    Arguments:
        p: share that is dropped, from 0 up to but not including 1. What is left is divided by 1 - p.
        channels: drop whole channels of B x C x …, as torch's Dropout2d does.
    """

    key: Tensor
    calls: Tensor

    def __init__(self, p: float = 0.5, channels: bool = False) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and below 1, not {p}")
        self.p, self.channels = p, channels
        self.register_buffer("key", torch.randint(2**32, (2,)))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """B x … to the same shape."""
        if not self.training or self.p == 0:
            return x
        kept = self._kept(x.shape[:2] if self.channels else x.shape, x.device)
        # rebound, not written into: buffers are threaded through the step
        self.calls = self.calls + 1
        kept = kept.reshape(*kept.shape, *(1,) * (x.ndim - kept.ndim))
        return x * kept.to(x.dtype) / (1 - self.p)

    def extra_repr(self) -> str:
        """For printing."""
        return f"p={self.p}, channels={self.channels}"

    def _kept(self, shape: torch.Size, device: torch.device) -> Tensor:
        block = torch.arange(-(-shape.numel() // 4), device=device)
        zero = torch.zeros_like(block)
        counter = (block, zero, zero + (self.calls & _WORD), zero + (self.calls >> 32))
        words = torch.cat(philox(counter, (self.key[0], self.key[1])))
        # compared as integers, so that every device decides alike
        return words[: shape.numel()].view(shape) >= round(self.p * 2**32)
