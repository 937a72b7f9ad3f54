"""Whether translations keep the class of what they started from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import Data, Evaluation, Metric


@dataclass(frozen=True)
class TranslationAgreement(Metric):
    """Agreement of translated images with their source's label (as Zhu et al. 2017, arXiv:1703.10593, section
    5.1, ask a labelling network, and Hoffman et al. 2018, CyCADA, arXiv:1711.03213, a classifier of digits).

    The fraction of n held-out source images whose translation the extractor classifier, trained on the target
    domain alone, gives the source's class. 0 to 1, higher is better; not biased by n. Chance is 1 / classes;
    the ceiling is about the classifier's accuracy on the target's own held-out images. nan where a
    translation is not finite.
    """

    name = "translation-agreement"
    values = {"translation-agreement": "higher"}

    def extractor_for(self, data: Data) -> str:
        """The classifier of the target domain."""
        return "classifier"

    def fits(self, data: Data) -> str | None:
        """Only data whose source and target domains are labelled alike."""
        if data.source is None:
            only = "data with a source domain only, such as digits-translation"
            return f"translation-agreement is taken on {only}"
        if data.test_source_labels is None or data.train_labels is None or not data.classes:
            return "translation-agreement needs labels in both domains"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        if not evaluation.samples.isfinite().all():
            return {self.name: math.nan}
        found = evaluation.labels("classifier", evaluation.samples)
        same = found == evaluation.given["source_labels"].to(found.device)
        return {self.name: float(same.double().mean())}
