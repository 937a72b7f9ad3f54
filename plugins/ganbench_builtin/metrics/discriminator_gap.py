"""How differently a discriminator judges data that it has and has not learned from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import BadInput, Evaluation, GameView, Metric
from ganbench_builtin.metrics._dynamics import game

_LOGITS = ("real_logits", "fake_logits")
_ERRORS = 2.0


@dataclass(frozen=True)
class DiscriminatorGap(Metric):
    """Overfitting of the discriminator: r_v of Karras et al. 2020, arXiv:2006.06676, eq. 1.

    (E[D(training)] - E[D(held-out)]) / (E[D(training)] - E[D(generated)]), D the logits as in training
    (augmented, packed, … where techniques do so), each mean over `batches` batches of the run's size. On
    overfitting of GANs at large: Yazici et al. 2020, arXiv:2006.14265.

    0 where held-out data are judged as training data are, 1 where as generated ones; lower is better. Noise
    takes it to either side of that range, the more so the less the discriminator distinguishes
    training from generated data. It cannot see a generator that repeats the training set, and means nothing
    where the held-out part is of another distribution. Where several players judge, the mean of their gaps.

    nan where the denominator is within two standard errors of 0, as before training, and where a logit is
    not finite.

    Cost: 2 x `batches` forward passes of the discriminator's turn, some 10 training steps, for each judge.

    Arguments:
        batches: of each part.
    """

    name = "discriminator-gap"
    values = {"discriminator-gap": "lower"}
    reads = ("judges",)
    batches: Annotated[int, Field(gt=0)] = 16

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        view = game(evaluation)
        gap = torch.stack([self._gap(view, judge) for judge in view.judges]).mean()
        return {self.name: gap.item() if gap.isfinite() else math.nan}

    def _gap(self, view: GameView, judge: str) -> Tensor:
        """One judge's r_v, eq. 1."""
        training, generated = self._logits(view, judge, "train")
        held_out, _ = self._logits(view, judge, "test")
        apart = training.mean() - generated.mean()
        # Welch's standard error of a difference of means
        error = (training.var() / len(training) + generated.var() / len(generated)).sqrt()
        gap = (training.mean() - held_out.mean()) / apart
        return torch.where(apart.abs() > _ERRORS * error, gap, math.nan)

    def _logits(self, view: GameView, judge: str, part: str) -> tuple[Tensor, Tensor]:
        """Of a part's data, and of generated samples: one vector each, float64."""
        outs = []
        for index in range(self.batches):
            with torch.no_grad():
                outs.append(view.play(judge, view.joint, view.batch(part, index)))
        if any(name not in outs[0] for name in _LOGITS):
            raise BadInput(f"{self.name}: the model's {judge} does not give {' and '.join(_LOGITS)}")
        real, fake = (torch.cat([out[name].flatten() for out in outs]).double() for name in _LOGITS)
        return real, fake
