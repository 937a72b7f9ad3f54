"""Learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

import ganbench
from ganbench import Clock, Joint, Memory, Rule, StepCount, bind, compute_once
from ganbench_builtin.techniques._clock import clamp, cos


@dataclass(frozen=True)
class Schedule(ganbench.Technique):
    """Learning rates rise and fall with the run (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5).

    Every optimiser's displacement is multiplied by a factor, which for every rule that is linear in its
    learning rate (all of this package's) equals a learning rate times that factor. It rises linearly over the
    warm-up (Goyal et al. 2017, arXiv:1706.02677, section 2.2), stays at 1, and falls to `final`, which it
    would reach in the step after the run's last.

    Arguments:
        shape: of the fall. "constant": it does not; "linear": in a straight line; "cosine": as half a cosine.
        warmup: fraction of the run over which it rises from 0 to 1.
        hold: fraction of the run for which it then stays at 1 (CycleGAN has .5, and a linear fall).
        final: the last factor.
    """

    name = "schedule"
    order = -20  # a learning rate: before whatever builds upon the optimiser's displacement
    total: ClassVar[int] = 1
    """Steps of the run: see `within`."""
    shape: Literal["constant", "linear", "cosine"] = "linear"
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    hold: Annotated[float, Field(ge=0, le=1)] = 0.0
    final: Annotated[float, Field(ge=0, le=1)] = 0.0

    def within(self, steps: int) -> Schedule:
        """This schedule over a run of `steps` steps."""
        scheduled: Schedule = bind(self, {"total": steps})
        return scheduled

    def factor(self, step: StepCount) -> Any:
        """What learning rates are multiplied with in a step, counted from 1."""
        rise = self.warmup * self.total
        begin = rise + self.hold * self.total
        fallen = clamp((step - 1 - begin) / clamp(self.total - begin, 1.0), 0.0, 1.0)
        left = _SHAPES[self.shape](fallen)
        return clamp(step / clamp(rise, 1.0), 0.0, 1.0) * (self.final + (1 - self.final) * left)

    def rule(self, inner: Rule) -> Rule:
        """Scales every player's displacement."""

        def apply(gradients: Joint, joint: Joint, memory: Memory, clock: Clock) -> tuple[Joint, Memory]:
            moved, memory = inner.apply(gradients, joint, memory, clock)
            factor = compute_once(self.factor(clock.step))
            scaled = {who: joint[who] + factor * (moved[who] - joint[who]) for who in gradients}
            return moved | scaled, memory

        return inner._replace(apply=apply)


_SHAPES: dict[str, Callable[[Any], Any]] = {
    "constant": lambda fallen: 1.0,
    "linear": lambda fallen: 1 - fallen,
    "cosine": lambda fallen: (1 + cos(math.pi * fallen)) / 2,
}
"""What is left of the learning rate when so much of the fall's time has passed."""
