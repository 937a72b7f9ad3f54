"""How far the Dirac game is from its equilibrium."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import Data, Evaluation, Metric


@dataclass(frozen=True)
class Distance(Metric):
    """Distance to the Dirac game's equilibrium at 0 (Mescheder et al. 2018, arXiv:1801.04406).

    The Euclidean norm of the joint parameters of all players. 0 to inf, lower is better. Exact: no
    sample is used, so neither n nor a bias matters. nan or inf where the parameters are.
    """

    name = "distance"
    values = {"distance": "lower"}

    def fits(self, data: Data) -> str | None:
        """Only for the data of the Dirac game: a point at 0."""
        if data.spec.shape != (1,) or bool(data.train.any()):
            return "distance is to the equilibrium of the Dirac game, on the data set point only"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        norms = (float(vector.detach().double().norm()) for vector in evaluation.point.values())
        return {self.name: math.hypot(*norms)}
