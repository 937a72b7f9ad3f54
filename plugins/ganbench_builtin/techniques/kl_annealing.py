"""KL annealing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from ganbench import bind
from ganbench_builtin.techniques._annealing import Annealing


@dataclass(frozen=True)
class KLAnnealing(Annealing):
    """A VAE's KL term is weighed from little to 1 (Bowman et al. 2016, arXiv:1511.06349, section 3.1).

    The weight rises in a straight line from `start` in the first step to 1, which it reaches in the step
    after the last of `steps`. The loss's own weight (beta of beta-vae) multiplies it; the floor of free-bits
    is under the scaled term.

    Arguments:
        start: weight in the first step.
        steps: how long it rises; 0 is half of the run.
    """

    name = "kl-annealing"
    conflicts = ("cyclical-annealing",)
    total: ClassVar[int] = 2
    """Steps of the run: see `within`."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.0
    steps: Annotated[int, Field(ge=0)] = 0

    def within(self, steps: int) -> KLAnnealing:
        """This technique in a run of `steps` steps."""
        annealed: KLAnnealing = bind(self, {"total": steps})
        return annealed

    def weight(self, step: Tensor) -> Tensor:
        """The weight in a step, counted from 1."""
        risen = ((step - 1) / (self.steps or self.total / 2)).clamp(max=1)
        return self.start + (1 - self.start) * risen
