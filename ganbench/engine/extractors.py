"""Feature extractors as a suite configures them."""

from __future__ import annotations

from ganbench.components.base import create
from ganbench.components.instances import Create
from ganbench.components.kinds import Extractor
from ganbench.plugins.discovery import Catalogue
from ganbench.storage.records import EvaluateConfig


def extractor_of(
    name: str, settings: EvaluateConfig, catalogue: Catalogue, create: Create = create
) -> Extractor:
    """The feature extractor, with the options that a resolved variant's "evaluate" has for it."""
    options = settings.get("extractors", {}).get(name, {})
    cls = catalogue.get("extractor", name).cls
    made: Extractor = create(cls, options, name)
    return made
