"""What a translation there and back loses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import BadInput, Data, Evaluation, Metric


@dataclass(frozen=True)
class CycleError(Metric):
    """Cycle-consistency error of translations (Zhu et al. 2017, arXiv:1703.10593, eq. 2, the first half).

    Mean absolute difference, over all numbers, between held-out images of the source domain and themselves
    after a translation to the target and back. 0 to 2 for images in [-1, 1], lower is better; not biased by
    n. 0 says nothing of the translation: the identity reaches it. nan where an image is not finite.
    """

    name = "cycle-error"
    values = {"cycle-error": "lower"}
    reads = ("cycled",)

    def fits(self, data: Data) -> str | None:
        """Only data with a source domain."""
        if data.source is None:
            return "cycle-error is taken on data with a source domain only, such as digits-translation"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        seen = evaluation.inspected()
        if "cycled" not in seen:
            what = "the model does not translate there and back: it shows no 'cycled'; choose cyclegan"
            raise BadInput(f"cycle-error: {what}")
        error = float((seen["cycled"].double() - seen["given/source"].double()).abs().mean())
        return {self.name: error if math.isfinite(error) else math.nan}
