"""What can be checked of an archive without training: checksums, keys, rows, verdicts, completeness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ganbench.judging.run_rows import judged_again
from ganbench.planning.run_key import parts, run_key
from ganbench.running.rejudge import completed
from ganbench.sharing.archive import Archive, oversized
from ganbench.sharing.plugin_files import held, needed
from ganbench.storage.earlier import FACTS
from ganbench.storage.records import StackConfig, VariantConfig
from ganbench.storage.schema import SCHEMA
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import lock_in
from ganbench.text import techniques_label

VERDICT = (
    *("outcome", "onset_step", "reason", "evidence_first", "evidence_last", "remark"),
    *("seen_by", "player", "probe", "behaviour"),
)
"""Columns of a row of runs that judging gives."""
NEEDED = {
    "runs": {
        "key",
        "variant",
        "model",
        "loss",
        "techniques",
        "dataset",
        "seed",
        "outcome",
        "steps",
        "budget",
    },
    "evals": {"run", "step", "metric", "value"},
    "traces": {"run", "step", "player", "loss"},
}
"""Columns without which nothing can be checked."""
SHOWN = 3
"""Faults that are told of one check."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked: whether it holds (None: could not be checked), and what was seen.

    Arguments:
        runs: of which this is told, where not of all.
    """

    name: str
    ok: bool | None
    detail: str
    runs: tuple[str, ...] = ()


@dataclass
class Verified:
    """What an archive was found to be.

    Arguments:
        folder: where it was unpacked.
        trust: names of its plugins that may be executed.
    """

    archive: Path
    digest: str
    manifest: dict[str, Any]
    folder: Path
    trust: tuple[str, ...] = ()
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return all(check.ok is not False for check in self.checks)

    @property
    def stacks(self) -> list[StackFolder]:
        """Its stacks."""
        return stack_folders(self.folder)


def verify(path: Path, folder: Path, trust: Sequence[str] = ()) -> Verified:
    """Unpack an archive into the empty folder `folder` and check all that needs no training.

    Arguments:
        trust: names of its plugins that will be executed after that; here nothing is.

    Raises BadInput where it is no archive, or not a safe one.
    """
    with Archive(path) as archive:
        found = Verified(path, archive.digest, archive.manifest, folder, tuple(trust))
        altered = archive.unpack(folder)
        count = len(archive.manifest["files"])
    found.checks.append(
        _told("checksums", [f"{name} is not what it was" for name in altered], f"{count} files")
    )
    if not altered:
        found.checks += _checks(found)
    return found


def _checks(found: Verified) -> Iterator[Check]:
    """Each stops the later ones only where it finds tables that cannot be read."""
    tables = _guarded("tables", lambda: _tables(found))
    yield tables
    if tables.ok:
        for name, check in (
            ("keys", _keys),
            ("plugins", _plugins),
            ("rows", _rows),
            ("complete", _complete),
            ("verdicts", _verdicts),
        ):
            yield _guarded(name, lambda check=check: check(found))  # type: ignore[misc]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check; one that stumbles over what the archive holds has found it wrong."""
    try:
        return check()
    except Exception as error:  # the data are anybody's
        return Check(name, False, f"not as ganbench writes it ({type(error).__name__}: {error})")


def _told(name: str, faults: list[str], fine: str) -> Check:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Check(name, not faults, "; ".join(faults[:SHOWN]) + more if faults else fine)


def _tables(found: Verified) -> Check:
    """Every file can be read, within the memory that there is."""
    faults = [f"{f.path.name}: {why}" for f in found.stacks if (why := oversized(f.path))]
    listed = {name.split("/")[1] for name in found.manifest["files"] if name.startswith("stacks/")}
    faults += [f"{name} has no configuration" for name in listed - {f.path.name for f in found.stacks}]
    if not faults:
        faults = [fault for folder in found.stacks for fault in _table_faults(folder, found.folder)]
    return _told("tables", faults, f"{len(found.stacks)} stacks can be read")


def _table_faults(folder: StackFolder, root: Path) -> Iterator[str]:
    """Files of a stack that cannot be read, and columns that are not there."""
    folder.env(), folder.config()
    finished = folder.status().get("state") == "finished"
    tables = {name: folder.table(f"{name}.parquet") for name in ("runs", "evals")} | {
        "traces": folder.traces_table()
    }
    yield from (warning.replace(str(root), "") for warning in folder.warnings)
    for name, table in tables.items():
        lacking = NEEDED[name] - set([] if table is None else table.column_names)
        if lacking and (finished or name == "runs"):
            yield f"{folder.path.name}: {name} have no column {min(lacking)!r}"


def _keys(found: Verified) -> Check:
    """Every run's key is that of its configuration."""
    faults: list[str] = []
    checked, unrecorded = 0, 0
    for folder in found.stacks:
        config = folder.config()
        if "identity" not in config:
            unrecorded += len(config["keys"])
            continue
        faults += _key_faults(config)
        checked += len(config["keys"])
    for row in lock_in(found.folder).get("failed", ()):
        variant = _variant(found, row["label"])
        if variant is not None and run_key(variant, row["seed"], {}) != row["key"]:
            faults.append(f"{row['label']} seed {row['seed']}: its key is another")
    if unrecorded and not faults:
        what = f"{unrecorded} runs were trained by a version that did not record what their keys are made of"
        return Check("keys", None, what)
    return _told("keys", faults, f"{checked} keys follow from configuration, data, versions and sources")


def _plugins(found: Verified) -> Check:
    """Plugins that are single files are those that the runs were trained with."""
    there, wanted = held(found.folder), needed(folder.config() for folder in found.stacks)
    if not there and not wanted:
        return Check("plugins", True, "none is a single file")
    faults = [f"{name} is not what the runs were trained with" for name in there if there[name] not in wanted]
    absent = [path.name for digest, path in wanted.items() if digest not in there.values()]
    if absent and not faults:
        return Check("plugins", None, f"not in it: {', '.join(sorted(absent))}")
    executed = f"executed, for you trust it: {', '.join(found.trust)}" if found.trust else "not executed"
    return _told("plugins", faults, f"{', '.join(there)} as used in training; {executed}")


def _key_faults(config: StackConfig) -> Iterator[str]:
    identity = config["identity"]
    for label, variant, seed, key in zip(
        config["labels"], config["variants"], config["seeds"], config["keys"], strict=True
    ):
        named = {f"{kind} {entry['name']}" for kind, entry in parts(variant)}
        if identity["schema"] != SCHEMA or identity["components"].keys() != named:
            yield f"{label} seed {seed}: its key is made of other parts"
        elif run_key(variant, seed, identity) != key:
            yield f"{label} seed {seed}: its key is not that of its configuration"


def _variant(found: Verified, label: str) -> VariantConfig | None:
    variants = lock_in(found.folder).get("variants", ())
    return next((one["config"] for one in variants if one["label"] == label), None)


def _rows(found: Verified) -> Check:
    """Rows say of a run what its configuration says, and evaluations are of runs and steps that were."""
    faults, count = [], 0
    for folder in found.stacks:
        config, runs = folder.config(), folder.runs()
        count += len(runs)
        for column, wanted in _expected(config).items():
            if list(runs[column]) != wanted:
                faults.append(f"{folder.path.name}: {column} is not as configured")
        evals = folder.evals()
        steps = evals["run"].map(dict(enumerate(runs["steps"])))
        if not (evals["step"] <= steps).all() or (evals["step"] < 0).any():
            faults.append(f"{folder.path.name}: evaluations of runs or steps that there are not")
    return _told("rows", faults, f"{count} runs are what they are said to be")


def _expected(config: StackConfig) -> dict[str, list[str] | list[int]]:
    variants = config["variants"]
    return {
        "model": [v["model"]["name"] for v in variants],
        "loss": [v["loss"]["name"] for v in variants],
        "dataset": [v["dataset"]["name"] for v in variants],
        "techniques": [techniques_label(entry["name"] for entry in v["techniques"]) for v in variants],
        "key": config["keys"],
        "variant": config["labels"],
        "seed": config["seeds"],
        "budget": [v["steps"] for v in variants],
    }


def _complete(found: Verified) -> Check:
    """Every run of the suite is there: none was left out."""
    lock = lock_in(found.folder)
    there = {key for folder in found.stacks for key in folder.runs()["key"]}
    there |= {row["key"] for row in lock.get("failed", ())}
    keys = lock["keys"]
    names = zip(keys, lock["labels"], strict=True)
    faults = [f"a run of {label} lacks" for key, label in names if key not in there]
    further = len(there - set(keys))
    told = f", and {further} that it does not name" if further else ""
    return _told("complete", faults, f"all {len(keys)} runs of the suite are there{told}")


def _verdicts(found: Verified) -> Check:
    """Verdicts follow from traces and evaluations by the thresholds that are told."""
    if found.manifest["traces"] != "whole":
        return Check("verdicts", None, "the traces are thinned: verdicts cannot be taken again from them")
    lock = lock_in(found.folder)
    thresholds = completed(lock["verdict"])
    faults, count = [], 0
    for folder in found.stacks:
        if folder.status().get("state") != "finished":
            continue
        before = folder.runs()
        after = judged_again(folder, thresholds)
        if after is None:
            faults.append(f"{folder.path.name}: what it was judged from is not there")
            continue
        count += len(after)
        faults += [
            f"{row['variant']} seed {row['seed']}: {row['outcome']} by its traces, not {old['outcome']}"
            for old, row in zip(before.to_dict("records"), after, strict=True)
            if not same(old, row)
        ]
    changed = "; the thresholds were changed after training" if "suite_verdict" in lock else ""
    return _told("verdicts", faults, f"{count} verdicts follow from the traces{changed}")


def same(row: Mapping[Any, Any], again: Mapping[Any, Any], columns: tuple[str, ...] = VERDICT) -> bool:
    """Whether two rows agree in these columns, nothing being equal to nothing.

    Arguments:
        row: the archive's. One of an earlier version has no `FACTS` to agree with; its sentences must agree.
        again: what it came to here.
    """
    unrecorded = {column for column in FACTS if pd.isna(row.get(column))}
    pairs = [(row.get(column), again.get(column)) for column in columns if column not in unrecorded]
    return all((pd.isna(a) and pd.isna(b)) or a == b for a, b in pairs)
