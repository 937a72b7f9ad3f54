"""Whether samples are of the class that they were asked to be."""

from __future__ import annotations

from dataclasses import dataclass

from ganbench import Data, Evaluation, Metric
from ganbench_builtin.metrics._features import classifier_for


@dataclass(frozen=True)
class LabelAgreement(Metric):
    """Share of samples classified as the label they were made for (Odena et al. 2017, arXiv:1610.09585).

    The classifier is the data set's own (extractor classifier, or stacked-classifier), the labels are
    held-out ones, n of them. 0 to 1, higher is better; 1 / classes for a model that does not look at labels,
    and at most the classifier's own accuracy on data like these. It cannot see how varied a class is. Samples
    that are not finite agree with nothing.
    """

    name = "label-agreement"
    values = {"label-agreement": "higher"}

    def extractor_for(self, data: Data) -> str:
        """The classifier of the data."""
        return classifier_for(data)

    def fits(self, data: Data) -> str | None:
        """Needs labels to train with and to ask for."""
        if data.train_labels is None or data.test_labels is None:
            return "label-agreement needs data with labels, such as digits"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        samples = evaluation.samples
        finite = samples.flatten(1).isfinite().all(1)
        found = evaluation.labels(self.extractor_for(evaluation.data), samples.nan_to_num(0.0, 0.0, 0.0))
        agree = (found == evaluation.given["labels"].to(found.device)) & finite.to(found.device)
        return {self.name: float(agree.double().mean())}
