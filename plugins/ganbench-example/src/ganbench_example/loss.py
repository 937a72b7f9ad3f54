"""A loss."""

from dataclasses import dataclass

import ganbench
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class TemperedLogistic(ganbench.Loss):
    """The logistic loss at a temperature: T softplus(. / T) (after Goodfellow et al. 2014, arXiv:1406.2661).

    At 1 it is the non-saturating loss, towards 0 it becomes the perceptron's max(0, .).

    Arguments:
        temperature: how soft the hinge at the decision boundary is, in units of the logits.
    """

    name = "tempered-logistic"
    family = "adversarial"
    temperature: float = 1.0

    def discriminator(self, out: ganbench.Out) -> Tensor:
        """Low if real samples have large logits and generated ones small logits."""
        return self._wrong(-out["real_logits"]) + self._wrong(out["fake_logits"])

    def generator(self, out: ganbench.Out) -> Tensor:
        """Low if generated samples have large logits."""
        return self._wrong(-out["fake_logits"])

    def _wrong(self, logits: Tensor) -> Tensor:
        return (self.temperature * F.softplus(logits / self.temperature)).mean()
