"""How wide posteriors are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ganbench import Evaluation
from ganbench_builtin.metrics._posterior import PosteriorMetric


@dataclass(frozen=True)
class PosteriorWidth(PosteriorMetric):
    """Extremes of the posterior's log variance (Kingma and Welling 2014, arXiv:1312.6114), on held-out rows.

    narrowest, widest: the least and the largest log sigma^2 of any row and number, in nats. The prior has 0.
    A narrowest far below -10 says that codes are nearly deterministic and the KL term about to overflow; a
    widest near 0 with no narrow one that nothing is coded. They spread with n.
    """

    name = "posterior-width"
    values = {"narrowest": "higher", "widest": "lower"}

    def of(self, mean: Tensor, log_variance: Tensor, evaluation: Evaluation) -> dict[str, float]:
        """The narrowest and the widest log variance."""
        return {"narrowest": float(log_variance.min()), "widest": float(log_variance.max())}
