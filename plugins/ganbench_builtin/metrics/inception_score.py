"""The inception score, of any classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench import Data, Evaluation, Metric
from ganbench_builtin.metrics._features import classifier_for


@dataclass(frozen=True)
class InceptionScore(Metric):
    """exp(E_x KL(p(y|x) || p(y))) of class probabilities (Salimans et al. 2016, arXiv:1606.03498, sec. 4).

    By the data's own classifier in place of Inception, and then not comparable with published numbers: those
    are of the extractor inception, of 50,000 samples in 10 splits. 1 to the number of classes, higher is
    better: each class is recognised with certainty, and all are equally frequent. Biased downwards by a
    factor of about 1 - (classes - 1) / (2 n). It looks at no real sample: it cannot see
    variety within classes (one good image of each has the highest score), blur that the classifier forgives,
    or a memorised training set; noise can score high.

    nan if a sample is not finite, or if n < splits.

    Arguments:
        extractor: name of an extractor that classifies; empty for classifier (stacked-classifier on stacked
            digits).
        splits: parts whose scores are averaged; 10 in the literature, of 5,000 samples each.
    """

    name = "inception-score"
    values = {"inception-score": "higher"}
    extractor: str = ""
    splits: Annotated[int, Field(ge=1)] = 1

    @property
    def least(self) -> int:
        """As many as splits."""
        return self.splits

    def extractor_for(self, data: Data) -> str:
        """The option, or the classifier of the data."""
        return self.extractor or classifier_for(data)

    def fits(self, data: Data) -> str | None:
        """It takes an extractor that knows classes: those of the data, or its own."""
        extractor = self.extractor_for(data)
        if extractor == "identity":
            return (
                "inception-score needs class probabilities, which identity does not give; choose classifier"
            )
        if not extractor or (extractor == "classifier" and not data.classes):
            return "inception-score needs data with labels, such as digits; choose inception without"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value, in float64."""
        samples = evaluation.samples
        if len(samples) < self.splits or not samples.isfinite().all():
            return {self.name: math.nan}
        probabilities = evaluation.probabilities(self.extractor_for(evaluation.data), samples)
        scores = [_score(part) for part in torch.tensor_split(probabilities, self.splits)]
        return {self.name: sum(scores) / len(scores)}


def _score(probabilities: Tensor) -> float:
    """exp of the mutual information of sample and class, H(p(y)) - E_x H(p(y|x))."""
    entropy = torch.special.entr
    information = entropy(probabilities.mean(0)).sum() - entropy(probabilities).sum(1).mean()
    return math.exp(float(information))
