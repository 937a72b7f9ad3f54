"""How many of the 1,000 modes of stacked digits the samples cover."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganbench import Data, Evaluation, Metric
from ganbench_builtin.datasets._stacking import CLASSES, are_stacks


@dataclass(frozen=True)
class StackedModes(Metric):
    """Coverage of the 1,000 modes of stacked MNIST (Metz et al. 2017, Unrolled GAN, arXiv:1611.02163).

    A digit classifier reads each channel of a sample: three digits are one of 1,000 modes. Values:

    - stacked-modes: modes that at least one sample shows. 0 to 1,000, higher is better. Grows with n.
    - stacked-kl: KL(share of each mode among samples || uniform), in nats. 0 to log 1,000 = 6.91, and inf
      without a finite sample; lower is better. Biased upwards by about 999 / (2 n): uniform labels have
      .0193 at n = 26,000, and stacked MNIST itself .024, as its digits are not equally frequent.

    The usual n is 26,000 (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761) or 25,600 (Metz et al.). A
    sample that is not finite shows no mode; any other shows one, whatever it looks like.
    """

    name = "stacked-modes"
    values = {"stacked-modes": "higher", "stacked-kl": "lower"}
    extractor = "stacked-classifier"

    def fits(self, data: Data) -> str | None:
        """Only stacks of three digits have these modes."""
        if are_stacks(data):
            return None
        return "stacked-modes are counted on three channels of 1,000 classes only, such as stacked-mnist"

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """Both values, from the samples' labels."""
        samples = evaluation.samples
        finite = samples[samples.flatten(1).isfinite().all(dim=1)]
        if len(finite) == 0:
            return {"stacked-modes": 0.0, "stacked-kl": math.inf}
        counts = torch.bincount(evaluation.labels(self.extractor, finite), minlength=CLASSES)
        return {"stacked-modes": float((counts > 0).sum()), "stacked-kl": _kl_to_uniform(counts.double())}


def _kl_to_uniform(counts: Tensor) -> float:
    share = counts / counts.sum()
    return max(0.0, math.log(len(counts)) - float(torch.special.entr(share).sum()))
