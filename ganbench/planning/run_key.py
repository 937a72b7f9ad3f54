"""What identifies a run: its key, and what of this installation goes into it. Torch is not imported here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganbench.components.base import Component, create
from ganbench.plugins.discovery import Catalogue, Registered
from ganbench.suites.variants import canonical

if TYPE_CHECKING:
    from ganbench.engine.data import Sources

SCHEMA = 1
"""Of rows and keys. Raising it retrains everything."""


def parts(config: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(kind, {"name", "options"}) of every component of a resolved variant."""
    single = [(kind, config[kind]) for kind in ("model", "loss", "dataset")]
    several = [("technique", entry) for entry in config["techniques"]]
    evaluate = config["evaluate"]
    several += [("metric", entry) for entry in evaluate["metrics"]]
    extractors = evaluate.get("extractors", {}).items()
    return [*single, *several, *(("extractor", {"name": n, "options": options}) for n, options in extractors)]


def run_key(variant: Mapping[str, Any], seed: int, identity: Mapping[str, Any]) -> str:
    """The run key: SHA-256 of canonical JSON, options that name places on this machine left out.

    Arguments:
        identity: what `Identities` tells of the variant; nothing for one whose parts do not fit together.
    """
    told: dict[str, Any] = json.loads(canonical({"variant": variant, "seed": seed, **identity}))
    for place in told.pop("places", ()):
        name, _, option = place.partition(".")
        for _, entry in parts(told["variant"]):
            if entry["name"] == name:
                entry["options"].pop(option, None)
    return hashlib.sha256(canonical(told).encode()).hexdigest()


class Identities:
    """What a run's key holds beside variant and seed, as things are installed here."""

    def __init__(self, catalogue: Catalogue, sources: Sources) -> None:
        self._catalogue, self._sources = catalogue, sources
        self._hashes: dict[type, str] = {}

    def of(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Of a resolved variant: digests of data, sources and extractors; JSON-able."""
        return {
            "schema": SCHEMA,
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

    def _extractors(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Name -> digest of the extractors that the metrics ask for."""
        from ganbench.engine.extractors import extractor_of

        data = self._sources.load(config["dataset"])
        metrics = [
            create(self._catalogue.get("metric", entry["name"]).cls, entry["options"], entry["name"])
            for entry in config["evaluate"]["metrics"]
        ]
        names = {metric.extractor_for(data) for metric in metrics} - {""}
        known = {name: extractor_of(name, config["evaluate"], self._catalogue) for name in sorted(names)}
        return {name: extractor.digest(data) for name, extractor in known.items()}

    def _places(self, config: Mapping[str, Any]) -> list[str]:
        """Options that are left out of the key (see `run_key`)."""
        return sorted(
            f"{entry['name']}.{option}"
            for kind, entry in parts(config)
            for option in self._catalogue.get(kind, entry["name"]).cls.places
        )
