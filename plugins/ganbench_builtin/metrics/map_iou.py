"""Whether generated images follow their label maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganbench import Data, Evaluation, Metric


@dataclass(frozen=True)
class MapIoU(Metric):
    """Intersection over union of strokes and label map (Jaccard 1912), as Park et al. 2019, arXiv:1903.07291,
    section 4, judge by mIoU, with a threshold in place of their segmentation networks.

    Stroke pixels of an image are those brighter than `threshold` (mean over channels); the map's are those
    of any class but 0, the background. Counted over all n held-out maps together. 0 to 1, higher is better;
    1 where neither has any. Not biased by n. nan where an image is not finite.

    Arguments:
        threshold: in the range of the data, -1 to 1.
    """

    name = "map-iou"
    values = {"map-iou": "higher"}
    threshold: float = 0.0

    def fits(self, data: Data) -> str | None:
        """Only images with label maps."""
        if data.test_maps is None or len(data.spec.shape) != 3:
            return "map-iou is taken on images with label maps only, such as digits-maps"
        return None

    def measure(self, evaluation: Evaluation) -> dict[str, float]:
        """The value."""
        if not evaluation.samples.isfinite().all():
            return {self.name: math.nan}
        drawn = evaluation.samples.mean(1) > self.threshold
        wanted = evaluation.given["map"].to(drawn.device) > 0
        union = int((drawn | wanted).sum())
        return {self.name: int((drawn & wanted).sum()) / union if union else 1.0}
