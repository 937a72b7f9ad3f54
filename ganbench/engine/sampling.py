"""What a program's model generates and shows of itself, at one run's point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench.engine.program import Program
from ganbench.game import Batch, Joint, Out
from ganbench.game.draws import draw
from ganbench.game.nets import Named, Nets


@dataclass(frozen=True)
class Sampler:
    """The networks in evaluation mode: batch norm uses its running statistics, and no buffer moves."""

    program: Program

    def nets(self, joint: Joint, buffers: Named) -> Nets:
        """The networks at a point."""
        parameters = self.program.layout.parameters(joint)
        return Nets(self.program.sampling_modules, parameters, buffers, moving=False)

    def draws(
        self, n: int, seed: int, role: str, device: torch.device | str = "cpu", step: int = 0
    ) -> dict[str, Tensor]:
        """The random tensors that n samples are made of."""
        declared = self.program.model.sample_draws(self.program.spec, n)
        return draw(declared, seed, role, self.program.dtype, device, step)

    def sample(self, joint: Joint, buffers: Named, batch: Batch) -> Tensor:
        """Generated samples, n x shape."""
        with torch.no_grad():
            return self.program.model.sample(self.nets(joint, buffers), batch)

    def inspect(self, joint: Joint, buffers: Named, batch: Batch) -> Out:
        """What the model shows of itself."""
        with torch.no_grad():
            return self.program.model.inspect(self.nets(joint, buffers), batch)
