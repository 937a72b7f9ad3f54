"""Which variants are compared with which, and whether they can be."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import pandas as pd

from ganbench.errors import BadInput, nearest
from ganbench.results.stored import NO_CONFIG, name_of
from ganbench.storage.records import VariantConfig

Baseline: TypeAlias = str | Mapping[str, Any]
"""A variant's label, or what baselines have in common, as in a suite's [compare]."""
ALL = "all"
"""In place of a baseline: compare all pairs, whatever the suite says."""
Pair = tuple[str, str]
Configs = Mapping[str, VariantConfig]

MOST = 30
"""Variants of which all pairs are compared: 435. Pairs, and Holm's correction, grow with the square."""
_PARTS = ("dataset", "model", "loss")
_SETTINGS = {
    "n": "the number of samples (n)",
    "n_real": "the number of real samples (n)",
    "extractor": "the feature extractor",
    "extractor_digest": "the extractor's weights",
    "dimensions": "the dimensions of the features (d)",
}
"""Columns of evaluations that must be the same on both sides of a comparison, and what to call them."""


def data_of(configs: Configs, label: str) -> str:
    """The data that a variant is trained on, as text."""
    return json.dumps(configs.get(label, NO_CONFIG).get("dataset"), sort_keys=True)


def all_pairs(groups: Mapping[str, Hashable]) -> list[Pair]:
    """All pairs within each group. Raises BadInput where they are too many to say anything."""
    pairs = [(a, b) for a, b in combinations(groups, 2) if groups[a] == groups[b]]
    # The limit counts pairs: many variants that split over many data sets may still be few pairs.
    if len(pairs) > MOST * (MOST - 1) // 2:
        what = f"{len(groups)} variants make {len(pairs):,} pairs, too many to test at once"
        raise BadInput(
            f"{what}: name a baseline (baseline=…, --baseline LABEL), such as {next(iter(groups))!r}, or "
            "'loss=hinge,techniques=' for the variants of that loss without techniques"
        )
    return pairs


def against(
    labels: Sequence[str], configs: Configs, baselines: Mapping[str, Baseline | None], strict: bool
) -> list[Pair]:
    """(variant, baseline) of each variant that is no baseline itself, in the order of the labels.

    Arguments:
        baselines: variant -> the baseline that it is compared with. Where that matches several, those on the
            same data are taken that share most of model, loss, techniques and suite's settings with it.
        strict: whether a baseline that matches nothing is bad input.
    """
    pairs: list[Pair] = []
    matched: dict[str, list[str]] = {}
    for label in labels:
        baseline = baselines.get(label)
        if baseline is None:
            continue
        # Variants share baselines: match each once. Its JSON is the key, because tables cannot be hashed.
        key = json.dumps(baseline, sort_keys=True, default=str)
        if key not in matched:
            matched[key] = _matching(baseline, labels, configs)
        candidates = matched[key]
        if not candidates and strict:
            raise BadInput(_no_baseline(baseline, labels, configs))
        # A baseline is not compared with other baselines, nor with itself.
        if label not in candidates:
            pairs += [(label, other) for other in _nearest(label, candidates, configs)]
    return pairs


def nothing_to_compare(pairs: Sequence[Pair], groups: Mapping[str, Hashable]) -> str:
    """Why a baseline that was asked for has nothing to be compared with."""
    without = [other for _, other in pairs if other not in groups]
    if without:
        return f"the baseline {without[0]!r} does not take the metric; name another one"
    return (
        "the baseline has nothing to be compared with: no other variant is on its data and takes its metric"
    )


def check_comparable(
    pairs: Iterable[Pair], metrics: Mapping[str, str], evaluations: pd.DataFrame, configs: Configs
) -> None:
    """Raise BadInput, one sentence that says what differs, where values of a pair cannot be compared."""
    # Results of earlier versions do not record all of these.
    columns = [name for name in _SETTINGS if name in evaluations]
    taken = evaluations[["variant", "metric", *columns]].drop_duplicates()
    settings = {
        (str(variant), str(metric)): {name: _values(rows[name]) for name in columns}
        for (variant, metric), rows in taken.groupby(["variant", "metric"], sort=False)
    }
    for one, other in pairs:
        metric = metrics[one]
        left, right = settings.get((one, metric), {}), settings.get((other, metric), {})
        for name, description in _SETTINGS.items():
            values = left.get(name, set()), right.get(name, set())
            # A setting that one side did not record is no reason to refuse; two values within a side are.
            if all(values) and (values[0] != values[1] or len(values[0]) > 1):
                _refuse(metric, one, other, description, *values)
        options = (
            _options(configs.get(one, NO_CONFIG), metric),
            _options(configs.get(other, NO_CONFIG), metric),
        )
        if None not in options and options[0] != options[1]:
            _refuse(metric, one, other, "the metric's options", {options[0]}, {options[1]})


def _values(column: pd.Series) -> set[object]:
    """The recorded values of a setting; empty where an earlier version did not record it."""
    return {value for value in column.dropna().unique() if value != ""}


def _refuse(
    metric: str, one: str, other: str, difference: str, left: set[object], right: set[object]
) -> None:
    listed = [", ".join(sorted(map(str, side))) for side in (left, right)]
    raise BadInput(
        f"{metric} of {one!r} and of {other!r} cannot be compared: they differ in {difference} "
        f"({listed[0]} against {listed[1]})"
    )


def _options(config: Mapping[str, Any], metric: str) -> str | None:
    for entry in (config.get("evaluate") or {}).get("metrics", ()):
        if isinstance(entry, Mapping) and entry.get("name") == metric:
            return json.dumps(entry.get("options"), sort_keys=True)
    return None


def _matching(baseline: Baseline, labels: Sequence[str], configs: Configs) -> list[str]:
    if isinstance(baseline, str):
        return [label for label in labels if label == baseline]
    return [label for label in labels if _matches(baseline, _as_written(configs.get(label, NO_CONFIG)))]


def _as_written(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration as a suite would write it: components by their names."""
    names = {part: name_of(config.get(part)) for part in _PARTS}
    techniques = [name_of(technique) for technique in config.get("techniques", ())]
    return {"tf32": False, **config, **names, "techniques": techniques}


def _matches(pattern: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether `config` has all of the pattern; of a table in it, a part is enough."""
    for key, wanted in pattern.items():
        value = config.get(key)
        if isinstance(wanted, Mapping) and isinstance(value, Mapping):
            if not _matches(wanted, value):
                return False
        elif key not in config or value != wanted:  # a pattern may ask for null, which an absent key is not
            return False
    return True


def _nearest(label: str, candidates: Sequence[str], configs: Configs) -> list[str]:
    """The candidates on the same data that share most of the variant's configuration."""
    config = configs.get(label, NO_CONFIG)
    # A baseline on other data says nothing about this variant.
    same = [other for other in candidates if data_of(configs, other) == data_of(configs, label)]
    likeness = {other: _likeness(config, configs.get(other, NO_CONFIG)) for other in same}
    return [other for other in same if likeness[other] == max(likeness.values())]


def _likeness(one: Mapping[str, object], other: Mapping[str, object]) -> int:
    """The number of top-level settings that two configurations share."""
    return sum(one.get(key) == other.get(key) for key in {*one, *other})


def _no_baseline(baseline: Baseline, labels: Sequence[str], configs: Configs) -> str:
    if isinstance(baseline, str):
        return f"no variant is called {baseline!r}; {nearest(baseline, labels)}"
    written = [_as_written(configs.get(label, NO_CONFIG)) for label in labels]
    # Reports the first property that no variant has: that is where the typo is.
    for key, wanted in baseline.items():
        choices = {json.dumps(config[key], default=str) for config in written if key in config}
        if json.dumps(wanted, default=str) not in choices:
            keys = {name for config in written for name in config}
            if not choices:
                return f"a baseline cannot be chosen by {key!r}; {nearest(key, keys)}"
            # JSON puts text in quotes; suggestions show it as a suite writes it.
            names = {text.strip('"') for text in choices}
            return f"no variant has {key} = {wanted!r}; {nearest(str(wanted), names)}"
    return f"no variant has all of {dict(baseline)!r}; name one by its label, such as {labels[0]!r}"
