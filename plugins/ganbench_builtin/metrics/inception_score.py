"""The inception score, of any classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ganbench.components import Data, Evaluation, Metric

_WITHOUT_CLASSES = ("identity", "inception")


@dataclass(frozen=True)
class InceptionScore(Metric):
    """exp(E_x KL(p(y|x) || p(y))) of class probabilities (Salimans et al. 2016, arXiv:1606.03498, sec. 4).

    By the data's own classifier in place of Inception, so not comparable with published numbers. 1 to the
    number of classes, higher is better: classes are told apart surely, and all are there alike. Biased
    downwards by a factor of about 1 - (classes - 1) / (2 n). It looks at no real sample: it cannot see
    variety within classes (one good image of each has the highest score), blur that the classifier forgives,
    or a memorised training set; noise can score high.

    nan if a sample is not finite, or if n < splits.

    Arguments:
        extractor: name of an extractor that classifies; empty for classifier.
        splits: parts whose scores are averaged; 10 in the literature, of 5,000 samples each.
    """

    name = "inception-score"
    values = {"inception-score": "higher"}
    extractor: str = ""
    splits: Annotated[int, Field(ge=1)] = 1

    def extractor_for(self, data: Data) -> str:
        """The option, or the classifier of the data."""
        return self.extractor or "classifier"

    def fits(self, data: Data) -> str | None:
        """It takes classes, and an extractor that knows them."""
        if not data.classes:
            return "inception-score needs data with labels, such as digits"
        if self.extractor in _WITHOUT_CLASSES:
            return (
                f"inception-score needs class probabilities, which {self.extractor} lacks; choose classifier"
            )
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
