"""Cyclical KL annealing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from ganbench import bind
from ganbench_builtin.techniques._annealing import Annealing


@dataclass(frozen=True)
class CyclicalAnnealing(Annealing):
    """A VAE's KL term is weighed from 0 to 1 again and again (Fu et al. 2019, arXiv:1903.10145, eq. 6, 7).

    In each of `cycles` equal parts of the run it rises in a straight line to 1, and stays there. The loss's
    own weight (beta of beta-vae) multiplies it; the floor of free-bits is under the scaled term.

    Arguments:
        cycles: how often it rises.
        proportion: of a cycle in which it rises.
    """

    name = "cyclical-annealing"
    conflicts = ("kl-annealing",)
    total: ClassVar[int] = 4
    """Steps of the run: see `within`."""
    cycles: Annotated[int, Field(gt=0)] = 4
    proportion: Annotated[float, Field(gt=0, le=1)] = 0.5

    def within(self, steps: int) -> CyclicalAnnealing:
        """This technique in a run of `steps` steps."""
        annealed: CyclicalAnnealing = bind(self, {"total": steps})
        return annealed

    def weight(self, step: Tensor) -> Tensor:
        """The weight in a step, counted from 1."""
        period = math.ceil(self.total / self.cycles)
        return ((step - 1) % period / period / self.proportion).clamp(max=1)
