"""What can be checked of an archive without training: checksums, keys, rows, verdicts, completeness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import pandas as pd

from ganbench.judging.run_rows import judged_again
from ganbench.planning.run_key import parts, run_key
from ganbench.running.rejudge import completed
from ganbench.sharing.archive import Archive, Manifest, oversized
from ganbench.sharing.plugin_files import held, needed
from ganbench.storage.earlier import FACTS
from ganbench.storage.records import RunRow, StackConfig, VariantConfig
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
"""Most faults that the detail of a check lists."""


@dataclass(frozen=True)
class Check:
    """One check: whether it passed (None: it could not be made), and a sentence on what it saw.

    Arguments:
        runs: labels of the runs that it concerns, where not all.
    """

    name: str
    ok: bool | None
    detail: str
    runs: tuple[str, ...] = ()


@dataclass
class Verified:
    """An unpacked archive and the checks made of it.

    Arguments:
        folder: where it was unpacked.
        trust: names of its plugins that may be executed.
    """

    archive: Path
    digest: str
    manifest: Manifest
    folder: Path
    trust: tuple[str, ...] = ()
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing that was checked is wrong."""
        return all(check.ok is not False for check in self.checks)

    @property
    def stacks(self) -> list[StackFolder]:
        """The stacks of the archive."""
        return stack_folders(self.folder)


def verify(path: Path, folder: Path, trust: Sequence[str] = ()) -> Verified:
    """Unpack an archive into the empty folder `folder` and check all that needs no training.

    Arguments:
        trust: names of its plugins that will be executed after that; here nothing is.

    Raises BadInput where it is not an archive, or not a safe one.
    """
    with Archive(path) as archive:
        verified = Verified(path, archive.digest, archive.manifest, folder, tuple(trust))
        altered = archive.unpack(folder)
        count = len(archive.manifest["files"])
    verified.checks.append(
        _result("checksums", [f"{name} does not match its checksum" for name in altered], f"{count} files")
    )
    if not altered:
        verified.checks += _checks(verified)
    return verified


def _checks(verified: Verified) -> Iterator[Check]:
    """Each stops the later ones only where it finds tables that cannot be read."""
    tables = _guarded("tables", lambda: _tables(verified))
    yield tables
    if tables.ok:
        for name, check in (
            ("keys", _keys),
            ("plugins", _plugins),
            ("rows", _rows),
            ("complete", _complete),
            ("verdicts", _verdicts),
        ):
            yield _guarded(name, partial(check, verified))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check's result; a check that raises has failed, for what it read is not as ganbench writes it."""
    try:
        return check()
    except Exception as error:  # the data are anybody's
        return Check(name, False, f"not as ganbench writes it ({type(error).__name__}: {error})")


def _result(name: str, faults: list[str], passed: str) -> Check:
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Check(name, not faults, "; ".join(faults[:SHOWN]) + more if faults else passed)


def _tables(verified: Verified) -> Check:
    """Every file can be read, within the memory that there is."""
    # Sizes first: a table beyond the memory would kill this process when it is read.
    faults = [f"{f.path.name}: {why}" for f in verified.stacks if (why := oversized(f.path))]
    listed = {name.split("/")[1] for name in verified.manifest["files"] if name.startswith("stacks/")}
    faults += [f"{name} has no configuration" for name in listed - {f.path.name for f in verified.stacks}]
    if not faults:
        faults = [fault for folder in verified.stacks for fault in _table_faults(folder, verified.folder)]
    return _result("tables", faults, f"{len(verified.stacks)} stacks can be read")


def _table_faults(folder: StackFolder, root: Path) -> Iterator[str]:
    """Files of a stack that cannot be read, and columns that are not there."""
    folder.env(), folder.config()  # read for the warnings that they leave in the folder
    finished = folder.status().get("state") == "finished"
    tables = {name: folder.table(f"{name}.parquet") for name in ("runs", "evals")} | {
        "traces": folder.traces_table()
    }
    yield from (warning.replace(str(root), "") for warning in folder.warnings)
    for name, table in tables.items():
        missing = NEEDED[name] - set([] if table is None else table.column_names)
        # a stack that crashed may have ended before its first evaluation or trace
        if missing and (finished or name == "runs"):
            yield f"{folder.path.name}: {name} have no column {min(missing)!r}"


def _keys(verified: Verified) -> Check:
    """Every run's key is that of its configuration."""
    faults: list[str] = []
    checked, unrecorded = 0, 0
    for folder in verified.stacks:
        config = folder.config()
        if "identity" not in config:
            unrecorded += len(config["keys"])
            continue
        faults += _key_faults(config)
        checked += len(config["keys"])
    for row in lock_in(verified.folder).get("failed", ()):
        variant = _variant(verified, row["label"])
        # {}: parts that do not fit together have no identity, so that only variant and seed make the key
        if variant is not None and run_key(variant, row["seed"], {}) != row["key"]:
            faults.append(f"{row['label']} seed {row['seed']}: its key is not that of its configuration")
    if unrecorded and not faults:
        what = f"{unrecorded} runs were trained by a version that did not record the parts of their keys"
        return Check("keys", None, what)
    return _result("keys", faults, f"{checked} keys follow from configuration, data, versions and sources")


def _plugins(verified: Verified) -> Check:
    """The archive's single-file plugins are those that the runs were trained with."""
    there, wanted = held(verified.folder), needed(folder.config() for folder in verified.stacks)
    if not there and not wanted:
        return Check("plugins", True, "none is a single file")
    faults = [f"{name} is not what the runs were trained with" for name in there if there[name] not in wanted]
    absent = [path.name for digest, path in wanted.items() if digest not in there.values()]
    if absent and not faults:
        return Check("plugins", None, f"not in it: {', '.join(sorted(absent))}")
    executed = (
        f"executed, for you trust it: {', '.join(verified.trust)}" if verified.trust else "not executed"
    )
    return _result("plugins", faults, f"{', '.join(there)} as used in training; {executed}")


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


def _variant(verified: Verified, label: str) -> VariantConfig | None:
    variants = lock_in(verified.folder).get("variants", ())
    return next((variant["config"] for variant in variants if variant["label"] == label), None)


def _rows(verified: Verified) -> Check:
    """Rows agree with the configurations of their runs, and evaluations belong to existing runs and steps."""
    faults, count = [], 0
    for folder in verified.stacks:
        config, runs = folder.config(), folder.runs()
        count += len(runs)
        for column, wanted in _expected(config).items():
            if list(runs[column]) != wanted:
                faults.append(f"{folder.path.name}: {column} is not as configured")
        evals = folder.evals()
        steps = evals["run"].map(dict(enumerate(runs["steps"])))
        # a run that is not there maps to NaN, which no step is below
        if not (evals["step"] <= steps).all() or (evals["step"] < 0).any():
            faults.append(f"{folder.path.name}: evaluations of runs or steps that do not exist")
    return _result("rows", faults, f"the rows of {count} runs agree with their configurations")


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


def _complete(verified: Verified) -> Check:
    """Every run of the suite is in the archive."""
    lock = lock_in(verified.folder)
    there = {key for folder in verified.stacks for key in folder.runs()["key"]}
    there |= {row["key"] for row in lock.get("failed", ())}
    keys = lock["keys"]
    names = zip(keys, lock["labels"], strict=True)
    faults = [f"a run of {label} is missing" for key, label in names if key not in there]
    further = len(there - set(keys))
    more = f", and {further} that it does not name" if further else ""
    return _result("complete", faults, f"all {len(keys)} runs of the suite are there{more}")


def _verdicts(verified: Verified) -> Check:
    """Verdicts follow from traces and evaluations by the thresholds of the lock."""
    if verified.manifest["traces"] != "whole":
        return Check("verdicts", None, "the traces are thinned: verdicts cannot be taken again from them")
    lock = lock_in(verified.folder)
    thresholds = completed(lock["verdict"])
    faults, count = [], 0
    for folder in verified.stacks:
        if folder.status().get("state") != "finished":
            continue  # crashed or cut off: no trace gave its verdict
        before = folder.runs()
        after = judged_again(folder, thresholds)
        if after is None:
            faults.append(f"{folder.path.name}: the traces or evaluations behind its verdicts are incomplete")
            continue
        count += len(after)
        faults += [
            f"{row['variant']} seed {row['seed']}: {row['outcome']} by its traces, not {old['outcome']}"
            for old, row in zip(cast("list[RunRow]", before.to_dict("records")), after, strict=True)
            if not same(old, row)
        ]
    changed = "; the thresholds were changed after training" if "suite_verdict" in lock else ""
    return _result("verdicts", faults, f"{count} verdicts follow from the traces{changed}")


def same(row: Mapping[str, object], again: Mapping[str, object], columns: tuple[str, ...] = VERDICT) -> bool:
    """Whether two rows agree in these columns, null being equal to null.

    Arguments:
        row: the archive's. One of an earlier version has no `FACTS` to agree with; its sentences must agree.
        again: the row of the same run here.
    """
    unrecorded = {column for column in FACTS if _is_null(row.get(column))}
    pairs = [(row.get(column), again.get(column)) for column in columns if column not in unrecorded]
    return all(_equal(a, b) for a, b in pairs)


def _equal(a: object, b: object) -> bool:
    # null first: in pandas, NA == 3 is neither true nor false
    return _is_null(a) == _is_null(b) and (_is_null(a) or a == b)


def _is_null(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell != cell  # NaN alone differs from itself
