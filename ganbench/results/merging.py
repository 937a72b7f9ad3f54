"""Several folders of results as one: their resolved suites merged, their labels kept apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ganbench.storage.records import CompareConfig, LockedVariant, SuiteLock
from ganbench.storage.stack_folder import StackFolder


@dataclass(frozen=True)
class Source:
    """A suite's folder: its resolved suite (empty where there is none), stacks, what could not be read."""

    root: Path
    lock: SuiteLock
    folders: Sequence[StackFolder]
    notes: Sequence[str] = ()


def merged(sources: Sequence[Source]) -> tuple[SuiteLock, list[str]]:
    """One resolved suite of all sources' runs, and warnings about the merge.

    A label that means different things in different folders gets the name of its suite or folder.
    """
    locks = [_complete(source) for source in sources]
    names, notes = _names(locks, sources)
    runs = {
        key: new[label]
        # Later entries overwrite earlier ones: reversed, so that the first folder's label of a key wins.
        for lock, new in zip(reversed(locks), reversed(names), strict=True)
        for key, label in zip(lock["keys"], lock["labels"], strict=True)
    }
    # A dict as an ordered set: keys stay in the order of the folders.
    order = dict.fromkeys(key for lock in locks for key in lock["keys"])
    lock = {
        "schema": 1,
        "suite": " + ".join(dict.fromkeys(str(lock["suite"]) for lock in locks)),
        "description": " ".join(dict.fromkeys(filter(None, (str(k.get("description", "")) for k in locks)))),
        "keys": list(order),
        "labels": [runs[key] for key in order],
        "seeds": sorted({seed for lock in locks for seed in lock.get("seeds", ())}),
        "compare": next((lock["compare"] for lock in locks if lock.get("compare")), {}),
        # Runs that were judged by other thresholds raise a warning (`Stored.cautions`).
        "verdict": locks[0].get("verdict"),
        # Reversed for the same reason: the first folder's direction wins.
        "directions": {k: v for lock in reversed(locks) for k, v in (lock.get("directions") or {}).items()},
        "variants": _variants(locks, names),
        "failed": [
            {"suite": lock["suite"], **row, "label": new[row["label"]]}
            for lock, new in zip(locks, names, strict=True)
            for row in lock.get("failed", ())
        ],
    }
    return cast("SuiteLock", lock), notes


def _complete(source: Source) -> SuiteLock:
    """The source's resolved suite, with missing parts taken from the stacks."""
    lock = {"suite": source.root.resolve().name, **source.lock}
    # A lock that was read has its keys; an absent or damaged one is rebuilt from the stacks.
    if "keys" in lock:
        return cast("SuiteLock", {"variants": [], **lock})
    keys: dict[str, str] = {}
    variants: dict[str, LockedVariant] = {}
    directions: dict[str, str] = {}
    for stack in (folder.config() for folder in source.folders):
        directions |= stack.get("directions", {})
        columns = (
            stack.get("keys", []),
            stack.get("labels", []),
            stack.get("variants", []),
            stack.get("swept", []),
        )
        # Not strict: a stack without a readable configuration has empty lists, and adds nothing.
        for key, label, config, swept in zip(*columns, strict=False):
            keys.setdefault(str(key), str(label))
            variants.setdefault(str(label), {"label": str(label), "config": config, "swept": swept})
    rebuilt = {"variants": list(variants.values()), "directions": directions, **lock}
    return cast("SuiteLock", {**rebuilt, "keys": list(keys), "labels": list(keys.values())})


class ComparedVariant(LockedVariant):
    """A variant with the comparison of the suite that it comes from."""

    compare: CompareConfig | None


def _variants(locks: Sequence[SuiteLock], names: Sequence[Mapping[str, str]]) -> list[ComparedVariant]:
    """The variants under their labels in the whole, each with its own suite's comparison."""
    variants: dict[str, ComparedVariant] = {}
    for lock, new in zip(locks, names, strict=True):
        for entry in lock["variants"]:
            label = new[str(entry["label"])]
            variants.setdefault(label, {**entry, "label": label, "compare": lock.get("compare")})
    return list(variants.values())


@dataclass(frozen=True)
class _Holder:
    """A label as one folder has it."""

    index: int
    config: str
    keys: Mapping[int, str] = field(default_factory=dict)

    def agrees(self, other: _Holder) -> bool:
        """Whether both mean one variant: same keys where they share seeds, else the same configuration."""
        # A key also covers the data and the code of components, which a configuration only names.
        shared = self.keys.keys() & other.keys.keys()
        if shared:
            return all(self.keys[place] == other.keys[place] for place in shared)
        return self.config == other.config


def _names(locks: Sequence[SuiteLock], sources: Sequence[Source]) -> tuple[list[dict[str, str]], list[str]]:
    """For each folder its labels -> those in the whole, and a sentence for each that had to be kept apart."""
    held: dict[str, list[_Holder]] = {}
    for index, lock in enumerate(locks):
        for label, holder in _holders(index, lock):
            held.setdefault(label, []).append(holder)
    names: list[dict[str, str]] = [{} for _ in locks]
    notes = []
    for label, holders in held.items():
        groups = _groups(holders)
        tails = _tails(groups, locks, sources)
        for group, tail in zip(groups, tails, strict=True):
            for holder in group:
                names[holder.index][label] = f"{label} ({tail})" if tail else label
        if len(groups) > 1:
            notes.append(f"{label} is not the same in all folders and is shown apart: {', '.join(tails)}")
    return names, notes


def _holders(index: int, lock: SuiteLock) -> Iterator[tuple[str, _Holder]]:
    configs = {str(e["label"]): json.dumps(e.get("config"), sort_keys=True) for e in lock["variants"]}
    keys: dict[str, list[str]] = {label: [] for label in configs}
    for key, label in zip(lock["keys"], lock["labels"], strict=True):
        keys.setdefault(str(label), []).append(str(key))
    seeds = list(lock.get("seeds", ()))
    for label, keys_of_label in keys.items():
        # A suite's keys of a variant stand in the order of its seeds.
        places = dict(zip(seeds, keys_of_label, strict=True)) if len(seeds) == len(keys_of_label) else {}
        yield label, _Holder(index, configs.get(label, ""), places)


def _groups(holders: Sequence[_Holder]) -> list[list[_Holder]]:
    groups: list[list[_Holder]] = []
    for holder in holders:
        # Agreement is not transitive (seeds may not overlap): a newcomer must agree with the whole group.
        group = next((g for g in groups if all(holder.agrees(other) for other in g)), None)
        if group is None:
            groups.append([holder])
        else:
            group.append(holder)
    return groups


def _tails(
    groups: Sequence[Sequence[_Holder]], locks: Sequence[SuiteLock], sources: Sequence[Source]
) -> list[str]:
    """Distinct names of groups of folders: suites' names, else folders' names, else paths."""
    if len(groups) == 1:
        return [""]
    first = [group[0].index for group in groups]
    # From the shortest names to the surest: resolved paths are distinct, so the last resort always works.
    choices = (
        [str(locks[index]["suite"]) for index in first],
        [sources[index].root.resolve().name for index in first],
        [str(sources[index].root) for index in first],
    )
    return next((tails for tails in choices if len(set(tails)) == len(tails)), choices[-1])
