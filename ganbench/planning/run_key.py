"""What identifies a run: its key, and what of this installation goes into it. Torch is not imported here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from ganbench._version import DRAWS
from ganbench.components.base import Component, create
from ganbench.components.data import Data
from ganbench.components.instances import Create
from ganbench.components.kinds import Metric
from ganbench.engine.extractors import extractor_of
from ganbench.plugins.discovery import Catalogue, Registered
from ganbench.storage.records import ComponentEntry, Identity, VariantConfig
from ganbench.storage.schema import SCHEMA
from ganbench.suites.variants import canonical


class DataSource(Protocol):
    """Data sets by their entries in a variant: `ganbench.engine.data.Sources`, which imports torch."""

    def load(self, entry: ComponentEntry) -> Data:
        """The data of a data set's entry."""

    def digest(self, entry: ComponentEntry) -> str:
        """SHA-256 of everything in the data."""


def parts(config: VariantConfig) -> list[tuple[str, ComponentEntry]]:
    """(kind, entry) of every component of a resolved variant."""
    evaluate = config["evaluate"]
    # an archive's variant is whatever somebody wrote: this key may be absent
    extractors = evaluate.get("extractors", {}).items()
    return [
        ("model", config["model"]),
        ("loss", config["loss"]),
        ("dataset", config["dataset"]),
        *(("technique", entry) for entry in config["techniques"]),
        *(("metric", entry) for entry in evaluate["metrics"]),
        *(("extractor", ComponentEntry(name=name, options=options)) for name, options in extractors),
    ]


def run_key(variant: VariantConfig, seed: int, identity: Mapping[str, object]) -> str:
    """The run key: SHA-256 of canonical JSON, options that name places on this machine left out.

    Arguments:
        identity: the variant's `Identity`; empty for one whose parts do not fit together.
    """
    # through JSON: a copy, and the same whether the variant was just resolved or read from a file
    content: dict[str, Any] = json.loads(canonical({"variant": variant, "seed": seed, **identity}))
    # data lie in another folder on another machine; their digest is in the identity
    for place in content.pop("places", ()):
        name, _, option = place.partition(".")
        for _, entry in parts(content["variant"]):
            if entry["name"] == name:
                entry["options"].pop(option, None)
    return hashlib.sha256(canonical(content).encode()).hexdigest()


class Identities:
    """What a run's key holds in addition to variant and seed, as things are installed here.

    Arguments:
        create: how components are made.
    """

    def __init__(self, catalogue: Catalogue, sources: DataSource, create: Create = create) -> None:
        self._catalogue, self._sources, self._create = catalogue, sources, create
        self._hashes: dict[type, str] = {}  # reading and hashing sources costs more than all of the rest

    def of(self, config: VariantConfig) -> Identity:
        """The identity of a resolved variant."""
        return {
            "schema": SCHEMA,
            "draws": DRAWS,
            "data": self._sources.digest(config["dataset"]),
            "components": {
                f"{kind} {entry['name']}": [registered.owner, self._source_hash(registered)]
                for kind, entry in parts(config)
                for registered in [self._catalogue.get(kind, entry["name"])]
            },
            "extractors": self._extractors(config),
            "places": self._places(config),
        }

    def _source_hash(self, registered: Registered[Component]) -> str:
        if registered.cls not in self._hashes:
            self._hashes[registered.cls] = registered.source_hash
        return self._hashes[registered.cls]

    def _extractors(self, config: VariantConfig) -> dict[str, str]:
        """Name -> digest of the extractors that the metrics ask for."""
        data = self._sources.load(config["dataset"])
        metrics = map(self._metric, config["evaluate"]["metrics"])
        names = {metric.extractor_for(data) for metric in metrics} - {""}
        return {
            name: extractor_of(name, config["evaluate"], self._catalogue, self._create).digest(data)
            for name in sorted(names)
        }

    def _metric(self, entry: ComponentEntry) -> Metric:
        cls = self._catalogue.get("metric", entry["name"]).cls
        metric: Metric = self._create(cls, entry["options"], entry["name"])
        return metric

    def _places(self, config: VariantConfig) -> list[str]:
        """Options that are left out of the key (see `run_key`)."""
        return sorted(
            f"{entry['name']}.{option}"
            for kind, entry in parts(config)
            for option in self._catalogue.get(kind, entry["name"]).cls.places
        )
