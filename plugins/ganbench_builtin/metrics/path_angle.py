"""The field along the way that a run has come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import Evaluation, GameView, Metric
from ganbench_builtin.metrics._dynamics import game, inner


@dataclass(frozen=True)
class PathAngle(Metric):
    """Path-angle: attraction and rotation on the run's path (Berard et al. 2020, arXiv:1906.04848, sec. 4).

    c(a) is the cosine of the angle between w - w0 and the ascent field v (as in jacobian-eigenvalues) at
    w0 + a (w - w0), with w0 the run's initial point and w the current one. Taken at 2 x `points` + 1 places,
    a from 1 - `reach` to 1 + `reach`. About a stationary point near w that attracts, c steps from 1 to -1;
    about one that is circled, c has a bump. The paper looks at the curve; these values are its summary:

    - path-switch: c at the beginning minus c at the end. -2 to 2, higher is better: 2 is attraction, 0
      rotation alone, -2 repulsion.
    - path-bump: the largest |c| minus the mean of |c| at both ends. 0 to 1, lower is better: 0 is
      attraction (or repulsion) alone, 1 rotation alone.

    For v = (-p I + q R)(x - x*), R a quarter turn, on a long path that passes x* closely: path-switch is
    2 p / sqrt(p^2 + q^2), path-bump 1 - |p| / sqrt(p^2 + q^2). Both are 0 far from any stationary point, so
    take them together. They see one direction of many, and nothing of the techniques' own fields or steps.
    Noise of the gradients, averaged over `batches`, draws both to 0. Networks' buffers are the current ones.

    nan at step 0, which has no path, and where the field vanishes or is not finite.

    Cost: 2 x `points` + 1 times `batches` gradients: some 100 training steps.

    Arguments:
        reach: how far to look before and behind w, as a part of the way from w0.
        points: places on each side of w.
        batches: training batches that the field is averaged over.
    """

    name = "path-angle"
    values = {"path-switch": "higher", "path-bump": "lower"}
    reach: Annotated[float, Field(gt=0)] = 0.4
    points: Annotated[int, Field(gt=0)] = 10
    batches: Annotated[int, Field(gt=0)] = 4

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """Both values."""
        c = self.cosines(game(evaluation))
        if not c.isfinite().all():
            return dict.fromkeys(self.values, math.nan)
        first, last = c[0].item(), c[-1].item()
        bump = c.abs().max().item() - (abs(first) + abs(last)) / 2
        return {"path-switch": first - last, "path-bump": bump}

    def cosines(self, view: GameView) -> Tensor:
        """The curve c: 2 `points` + 1 values."""
        began, batches = view.initial(), [view.batch(index=index) for index in range(self.batches)]
        way = {player: view.joint[player] - flat for player, flat in began.items()}

        def cosine(a: float) -> Tensor:
            there = {player: flat + a * way[player] for player, flat in began.items()}
            found = [view.gradients(there, batch) for batch in batches]
            field = {player: -torch.stack([g[player] for g in found]).mean(0) for player in way}
            return inner(field, way) / (inner(field, field) * inner(way, way)).sqrt()

        places = torch.linspace(1 - self.reach, 1 + self.reach, 2 * self.points + 1)
        return torch.stack([cosine(a) for a in places.tolist()])
