"""What metrics of features share: which extractor suits the data, and what is computed only once."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ganbench import Data, Evaluation, Metric
from ganbench_builtin.datasets._stacking import are_stacks

T = TypeVar("T")

_of_tensors: MutableMapping[Tensor, dict[object, Any]] = WeakTensorKeyDictionary()


def classifier_for(data: Data) -> str:
    """Name of the extractor that classifies labelled images; empty without labels."""
    if are_stacks(data):
        return "stacked-classifier"
    return "classifier" if data.classes else ""


def remembered(tensor: Tensor, key: object, make: Callable[[], T]) -> T:
    """What `make` gives, computed once for as long as that very tensor lives.

    For real samples and their features: an evaluator hands out the same tensor every time, in all runs.
    """
    known = _of_tensors.setdefault(tensor, {})
    if key not in known:
        known[key] = make()
    found: T = known[key]
    return found


@dataclass(frozen=True)
class FeatureMetric(Metric):
    """Compares the features of n samples with those of n real ones (of all, where there are fewer).

    All values are nan where a sample or a feature is not finite, or where there are too few samples.

    Arguments:
        extractor: name of the feature extractor; empty for classifier on labelled images (stacked digits:
            stacked-classifier), identity on points.
    """

    dimensions: ClassVar[int] = 1
    """Features that it takes at least."""
    limit: ClassVar[float] = 1e150
    """Features must be below it: beyond, their squares overflow."""

    extractor: str = ""

    @property
    def least(self) -> int:
        """The least number of samples on either side."""
        return 2

    @abstractmethod
    def compare(self, features: Tensor, real: Tensor) -> dict[str, float]:
        """All values, of two sets of features: n x d, m x d, finite, float64, on the CPU."""

    def extractor_for(self, data: Data) -> str:
        """The option, or what suits the data; empty for unlabelled images, which nothing suits."""
        if self.extractor:
            return self.extractor
        if len(data.spec.shape) != 3:
            return "identity"
        return classifier_for(data)

    def fits(self, data: Data) -> str | None:
        """It takes enough features, and a choice of the extractor on unlabelled images."""
        extractor = self.extractor_for(data)
        if not extractor:
            return f"{self.name} on unlabelled images needs the option extractor, such as inception"
        if extractor == "classifier" and not data.classes:
            needs = "labelled data for its extractor classifier"
            return f"{self.name} needs {needs}; choose identity or inception"
        if extractor == "identity" and data.spec.numel < self.dimensions:
            return f"{self.name} needs data of two dimensions or more"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """All values, in float64 on the CPU."""
        samples = evaluation.samples
        real = evaluation.real(len(samples))
        if min(len(samples), len(real)) >= self.least and samples.isfinite().all():
            extractor = self.extractor_for(evaluation.data)
            features = evaluation.features(extractor, samples), evaluation.features(extractor, real)
            if all((side.abs() < self.limit).all() for side in features):  # false for nan
                return self.compare(*features)
        return dict.fromkeys(self.values, math.nan)
