"""Features of samples, by the extractors that a suite configures; those of real samples are kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ganbench.cache import cache_folder
from ganbench.components.data import Data
from ganbench.engine.data import cached, digest
from ganbench.engine.extractors import extractor_of
from ganbench.engine.tables import as_float
from ganbench.errors import BadInput
from ganbench.game.draws import stream
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EvaluateConfig

Extract = Callable[[Tensor], Tensor]


class Features:
    """What extractors say of samples, and the real samples that generated ones are compared with.

    Arguments:
        settings: a resolved variant's "evaluate".
        data: on the device.
        dtype: of the samples.
    """

    def __init__(
        self, settings: EvaluateConfig, catalogue: Catalogue, data: Data, dtype: torch.dtype
    ) -> None:
        self._settings, self._catalogue, self._data, self._dtype = settings, catalogue, data, dtype
        self._extractors: dict[str, Extract] = {}
        self._digests: dict[str, str] = {}
        self.real_samples: dict[int, Tensor] = {}
        """Those that were asked for, by their number."""
        self._of_real: dict[tuple[str, int], Tensor] = {}

    def prepare(self, name: str) -> None:
        """Load or train the extractor, unless that was done or the name is empty."""
        if name and name not in self._extractors:
            extractor = extractor_of(name, self._settings, self._catalogue)
            self._extractors[name] = extractor.prepare(self._data, cache_folder() / "extractors")

    def real(self, n: int) -> Tensor:
        """The same n training samples every time; all of them where there are fewer."""
        if n not in self.real_samples:
            train = self._data.train
            # Drawn on the CPU from a fixed seed: runs on any device compare with the same real samples.
            order = torch.randperm(len(train), generator=stream("cpu", 0, "real", n))[:n]
            rows = train[order.to(train.device)].to(self._data.test.device)
            self.real_samples[n] = as_float(rows, self._dtype)
        return self.real_samples[n]

    def of(self, name: str, samples: Tensor) -> Tensor:
        """Features of samples, float64 on the CPU. Without an extractor they are the samples themselves."""
        extract = self._prepared(name)
        with torch.no_grad():
            # float64: statistics such as covariances cancel digits that float32 does not have.
            return (extract(samples) if extract else samples).to("cpu", torch.float64)

    def of_real(self, name: str, n: int) -> Tensor:
        """Features of `real(n)`, which depend on nothing that is trained: taken once, and kept on disk."""
        if (name, n) not in self._of_real:
            self._of_real[name, n] = cached(
                cache_folder() / "features",
                # The type is part of the identity: rounded samples have other features.
                f"{self._data_digest}/{self._dtype}",
                f"{name}/{self.digest(name)}",
                n,
                lambda: self.of(name, self.real(n)),
            )
        return self._of_real[name, n]

    def labels(self, name: str, samples: Tensor) -> Tensor:
        """The class of each sample, by an extractor that classifies."""
        return self._classify(name, "classify", samples)

    def probabilities(self, name: str, samples: Tensor) -> Tensor:
        """Those of each class, by an extractor that classifies."""
        return self._classify(name, "probabilities", samples).to("cpu", torch.float64)

    def digest(self, name: str) -> str:
        """Of everything that an extractor's features depend on beside the samples."""
        if name not in self._digests:
            extractor = extractor_of(name, self._settings, self._catalogue)
            self._digests[name] = extractor.digest(self._data)
        return self._digests[name]

    @cached_property
    def _data_digest(self) -> str:
        return digest(self._data)

    def _classify(self, name: str, method: str, samples: Tensor) -> Tensor:
        classify: Extract | None = getattr(self._prepared(name), method, None)
        if classify is None:
            raise BadInput(f"the extractor {name!r} gives features, not classes; choose classifier")
        return classify(samples)

    def _prepared(self, name: str) -> Extract | None:
        self.prepare(name)
        return self._extractors.get(name)


class PointFeatures:
    """Features of the samples at one point, taken once whichever metrics ask for them."""

    def __init__(self, features: Features, samples: Tensor) -> None:
        self._features, self.samples = features, samples
        self._taken: dict[str, Tensor] = {}

    def of(self, name: str) -> Tensor:
        """By the extractor of that name."""
        if name not in self._taken:
            self._taken[name] = self._features.of(name, self.samples)
        return self._taken[name]


class FeatureRecorder:
    """What one metric asks for while it measures: its `Evaluation.real` and `Evaluation.features`.

    Metrics pass samples as tensors. The point's own, and real ones that were handed out here, are recognised
    as the same objects, so that their features are not taken again.

    Arguments:
        n_real: number of real samples that the metric asked for last, None where it asked for none.
        dimensions: of the features that it asked for last.
    """

    def __init__(self, features: Features, point: PointFeatures) -> None:
        self._features, self._point = features, point
        self._handed_out: dict[int, Tensor] = {}
        self.n_real: int | None = None
        self.dimensions: int | None = None

    def real(self, n: int) -> Tensor:
        """n real samples."""
        samples = self._handed_out[n] = self._features.real(n)
        self.n_real = len(samples)
        return samples

    def features(self, name: str, samples: Tensor) -> Tensor:
        """Their features, n x d."""
        features = self._of(name, samples)
        self.dimensions = features.shape[-1]
        return features

    def _of(self, name: str, samples: Tensor) -> Tensor:
        # By identity: to compare the numbers of two batches costs a pass over both.
        if samples is self._point.samples:
            return self._point.of(name)
        for n, real in self._handed_out.items():
            if real is samples:
                return self._features.of_real(name, n)
        return self._features.of(name, samples)
