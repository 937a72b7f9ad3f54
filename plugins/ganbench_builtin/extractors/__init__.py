"""Feature extractors: the data themselves, a small classifier, and Inception v3."""

from __future__ import annotations

from ganbench.components import Extractor
from ganbench_builtin.extractors.classifier import Classifier
from ganbench_builtin.extractors.identity import Identity
from ganbench_builtin.extractors.inception import Inception

ALL: list[type[Extractor]] = [Identity, Classifier, Inception]
