"""The other side: one run trained by the eager loop that a careful person writes by hand.

Nothing of the engine is in it but the freshly initialised networks, which are plain torch modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.game.draws import stream


class HandWritten:
    """A GAN with the non-saturating loss, R1 with weight `r1` where it is not 0, and fused Adam.

    Arguments:
        nets: "generator" and "discriminator", trained in place.
        data: N x shape, floats or bytes, on the device.
        batch, latent: sizes of a batch and of a noise vector.
        seed: of the noise and of the order of the data.
        capturable: whether a step will be captured as a CUDA graph.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        data: Tensor,
        batch: int,
        latent: int,
        r1: float,
        seed: int = 0,
        capturable: bool = False,
    ) -> None:
        self.generator, self.discriminator = nets["generator"], nets["discriminator"]
        self.data, self.batch, self.latent, self.r1 = data, batch, latent, r1
        self._weights = list(self.discriminator.parameters())
        self._adams = [
            torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999), fused=True, capturable=capturable)
            for net in (self.discriminator, self.generator)
        ]
        self._dtype = self._weights[0].dtype
        self._random = stream(data.device, seed, "by hand")
        self._order = torch.empty(0, dtype=torch.int64)

    def run(self, steps: int) -> None:
        """Take `steps` steps."""
        for _ in range(steps):
            self.step(self.next_index(), self.noise(), self.noise())

    def step(self, index: Tensor, noise: Tensor, generator_noise: Tensor) -> None:
        """The discriminator's turn, then the generator's."""
        self._discriminator_turn(self._real(index), noise)
        for weight in self._weights:
            weight.requires_grad_(False)
        self._move(1, F.softplus(-self.discriminator(self.generator(generator_noise))).mean())
        for weight in self._weights:
            weight.requires_grad_(True)

    def noise(self) -> Tensor:
        """B x latent."""
        shape = (self.batch, self.latent)
        return torch.randn(shape, generator=self._random, device=self.data.device, dtype=self._dtype)

    def next_index(self) -> Tensor:
        """Sample numbers of the next batch; the data are reshuffled every epoch."""
        if len(self._order) < self.batch:
            device = self.data.device
            self._order = torch.randperm(len(self.data), generator=self._random, device=device)
        index, self._order = self._order[: self.batch], self._order[self.batch :]
        return index

    def _real(self, index: Tensor) -> Tensor:
        real = self.data.index_select(0, index)
        return real.to(self._dtype) / 127.5 - 1 if real.dtype == torch.uint8 else real.to(self._dtype)

    def _discriminator_turn(self, real: Tensor, noise: Tensor) -> None:
        with torch.no_grad():
            fake = self.generator(noise)
        real.requires_grad_(self.r1 > 0)
        real_logits = self.discriminator(real)
        loss = F.softplus(-real_logits).mean() + F.softplus(self.discriminator(fake)).mean()
        if self.r1 > 0:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            loss = loss + self.r1 / 2 * slope.flatten(1).square().sum(1).mean()
        self._move(0, loss)

    def _move(self, player: int, loss: Tensor) -> None:
        self._adams[player].zero_grad(set_to_none=True)
        loss.backward()
        self._adams[player].step()


class Captured:
    """The same step of one run, captured as a CUDA graph: what else a careful person does on a GPU."""

    WARM_UP = 3

    def __init__(self, loop: HandWritten) -> None:
        self.loop = loop
        self._inputs = (loop.next_index(), loop.noise(), loop.noise())
        self._replay = self._capture()

    def _capture(self) -> Callable[[], None]:
        loop = self.loop
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.WARM_UP):
                loop.step(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loop.step(*self._inputs)
        return graph.replay

    def run(self, steps: int) -> None:
        """Take `steps` steps."""
        index, *noises = self._inputs
        for _ in range(steps):
            index.copy_(self.loop.next_index())
            for noise in noises:
                noise.copy_(self.loop.noise())
            self._replay()


class Uncaptured(Captured):
    """The same without a capture, to try a benchmark where there is no GPU."""

    def _capture(self) -> Callable[[], None]:
        return lambda: self.loop.step(*self._inputs)
