"""The duality gap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ganbench import SGD, Adam, Batch, Clock, Evaluation, GameView, Joint, Metric, per_player
from ganbench_builtin.metrics._dynamics import game

_OPTIMIZERS: dict[str, type[Adam] | type[SGD]] = {"adam": Adam, "sgd": SGD}


@dataclass(frozen=True)
class DualityGap(Metric):
    """Duality gap (Grnarova et al. 2019, arXiv:1811.05512): max_D' V(G, D') - min_G' V(G', D).

    V is minus the discriminator's objective as it is trained, penalties included, whatever the generator's
    own. D' and G' are copies of the two, each trained against the other one, which stays as it is, for
    `steps` steps on training batches of the run's size; V is then taken on held-out ones. Where several
    players judge, V is minus the sum of their objectives, and D' are all of them, trained together.

    0 to inf up to noise, lower is better: 0 at an equilibrium that neither can leave to its advantage. It is
    at least the divergence of generated from real samples that the loss stands for, so that it sees mode
    collapse too. But the copies are not the best there are: it is biased downwards, the more so the fewer
    the steps, and copies that overfit can make it negative. Compare at equal options, and runs of one loss
    only, whose units it has. A critic that nothing bounds has no largest V: its gap grows with `steps`.
    A discriminator that learns from images of earlier generators (a pool) leaves the worst generator too
    little of a gradient. nan where it is not finite.

    Cost: 2 x `steps` gradients and as many batches, some 200 training steps.

    Arguments:
        steps: that each copy is trained for.
        optimizer: that they are trained by: "adam", with its usual betas, or "sgd".
        lr: its step size.
        batches: held-out batches that V is averaged over.
    """

    name = "duality-gap"
    values = {"duality-gap": "lower"}
    reads = ("generator", "judges")
    steps: Annotated[int, Field(gt=0)] = 100
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    batches: Annotated[int, Field(gt=0)] = 8

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        view = game(evaluation)
        worst, best = self._trained(view, ("generator",), -1), self._trained(view, view.judges, 1)
        gap = self._held_out(view, worst) - self._held_out(view, best)
        return {self.name: gap if math.isfinite(gap) else math.nan}

    def _trained(self, view: GameView, players: tuple[str, ...], sign: int) -> Joint:
        """The point at which `players` have lowered `sign` times the judges' objective, -V."""

        def objective(moving: Joint, joint: Joint, batch: Batch) -> Tensor:
            return sign * _judged(view, {**joint, **moving}, batch)

        rule = per_player({player: _OPTIMIZERS[self.optimizer](lr=self.lr) for player in players})
        joint, memory, slope = view.joint, rule.init(view.joint), torch.func.grad(objective)
        for step in range(1, self.steps + 1):
            gradients = slope({player: joint[player] for player in players}, joint, view.batch(index=step))
            clock = Clock(step, dict.fromkeys(players, step), True)
            joint, memory = rule.apply(gradients, joint, memory, clock)
        return joint

    def _held_out(self, view: GameView, joint: Joint) -> float:
        """-V on held-out data."""
        batches = [view.batch("test", index) for index in range(self.batches)]
        return torch.stack([_judged(view, joint, batch) for batch in batches]).mean().item()


def _judged(view: GameView, joint: Joint, batch: Batch) -> Tensor:
    """-V: the sum of the judges' objectives."""
    return reduce(add, [view.loss(judge, joint, batch) for judge in view.judges])
