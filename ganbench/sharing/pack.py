"""What goes into an archive: the rows of a suite's finished stacks, what they were made with, the suite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ganbench._version import __version__
from ganbench.errors import BadInput, Problem
from ganbench.results import load
from ganbench.sharing.archive import SUITE, Content, write_archive
from ganbench.sharing.plugin_files import gathered, naming, without_places
from ganbench.storage.atomic import plain
from ganbench.storage.lock import FolderLock
from ganbench.storage.owners import owner_text
from ganbench.storage.records import StackConfig
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import LOCK_NAME, lock_in
from ganbench.suites.load import canonical
from ganbench.text import printable

_PLAIN = ("config.json", "env.json", "status.json", "evals.parquet", "runs.parquet")
_IDENTIFYING = (
    "schema", "suite", "description", "keys", "labels", "seeds", "compare", "verdict", "suite_verdict",
    "directions", "variants", "failed",
)  # fmt: skip
"""Keys of the lock that describe the results. The others record when, where and how they were made, and
would change the bytes of an archive of the same rows."""


@dataclass(frozen=True)
class Packed:
    """An archive that was written.

    Arguments:
        digest: SHA-256 of the manifest, which covers everything in the archive.
        left_out: names of stacks that have not ended.
        plugins_left_out: names of single-file plugins that are not in it.
        suite_left_out: whether the suite's file is not in it, because it has moved.
    """

    path: Path
    digest: str
    runs: int
    bytes: int
    left_out: tuple[str, ...]
    plugins_left_out: tuple[str, ...]
    suite_left_out: bool


def pack(
    root: Path,
    path: Path | None = None,
    thin: int | None = None,
    sheets: bool = False,
    plugins: Sequence[Path] = (),
) -> Packed:
    """Write an archive of the results in `root`.

    Arguments:
        path: of the archive; by default the folder's name with .zip, here.
        thin: steps that are kept of each trace, evenly spaced, and the last one of every run. Verdicts
            cannot be taken again from thinned traces. By default they are whole.
        sheets: the sample sheets too.
        plugins: single files that the runs were trained with, where they no longer lie where they lay then.

    Raises BadInput where there are no results or none that have ended, where they are in use, or where
    another file lies at `path`.
    """
    load(root)  # raises BadInput where there are no results
    if not (root / LOCK_NAME).is_file():
        raise BadInput(Problem(printable(str(root)), f"has no {LOCK_NAME}; give the folder of one suite"))
    path = Path(f"{root.resolve().name}.zip") if path is None else path
    _check_target(path)
    _refuse_if_used(root)
    ended, left_out = _stacks(root)
    if not ended:
        raise BadInput(Problem(printable(str(root)), "no run has ended yet; go on with `ganbench run`"))
    lock = lock_in(root)
    sources, plugins_left_out = gathered(ended, plugins)
    files: dict[str, Content] = {LOCK_NAME: _lock(lock), **_suite(lock, sources), **sources}
    for folder in ended:
        files |= {f"stacks/{folder.path.name}/{name}": content for name, content in _files(folder, thin)}
        files |= {f"stacks/{folder.path.name}/samples/{p.name}": p for p in _pictures(folder) if sheets}
    runs = sum(len(folder.runs()) for folder in ended)
    facts = {
        "ganbench": __version__,
        "suite": lock.get("suite", ""),
        "runs": runs,
        "traces": "whole" if thin is None else thin,
        "versions": sorted({owner for folder in ended for owner in _owners(_config(folder))}),
    }
    try:
        digest = write_archive(path, files, facts)
    except OSError as error:
        raise BadInput(Problem(printable(str(path)), f"cannot be written ({error.strerror})")) from None
    size = path.stat().st_size
    return Packed(path, digest, runs, size, tuple(left_out), plugins_left_out, SUITE not in files)


def _check_target(path: Path) -> None:
    """Raise BadInput where something else would be overwritten."""
    import zipfile

    if path.is_dir() or (path.exists() and not zipfile.is_zipfile(path)):
        what = "exists and is not an archive; choose another file with -o"
        raise BadInput(Problem(printable(str(path)), what))


def _refuse_if_used(root: Path) -> None:
    """Raise BadInput where a process trains the results."""
    # The lock is looked at, not taken: results may lie where this user may only read.
    who, held = FolderLock(root).holder() or ("", False)
    if held:
        raise BadInput(Problem(printable(str(root)), f"is in use by {who}; wait for it to end"))


def _stacks(root: Path) -> tuple[list[StackFolder], list[str]]:
    """Stacks that have rows of runs, and names of the others."""
    folders = stack_folders(root)
    ended = [folder for folder in folders if len(folder.runs())]
    return ended, [folder.path.name for folder in folders if folder not in ended]


def _lock(lock: Mapping[str, object]) -> bytes:
    kept = {name: lock[name] for name in _IDENTIFYING if name in lock}
    # without its folder, which may name the user
    source = {"source": Path(str(lock["source"])).name} if "source" in lock else {}
    return canonical(plain({**kept, **source})).encode()


def _config(folder: StackFolder) -> StackConfig:
    return without_places(folder.config())


def _owners(config: StackConfig) -> list[str]:
    return [owner_text(owner) for owner in config.get("versions", {}).values()]


def _without_places(folder: StackFolder) -> dict[str, Content]:
    """The files that record the folders of plugins, without these folders; empty where none does."""
    config, table = _config(folder), folder.table("runs.parquet")
    if config == folder.config() or table is None:
        return {}
    versions = pa.array([json.dumps(config["versions"], sort_keys=True)] * len(table), pa.string())
    table = table.set_column(table.column_names.index("versions"), "versions", versions)
    return {"config.json": json.dumps(plain(config), indent=1).encode(), "runs.parquet": _parquet(table)}


def _suite(lock: Mapping[str, object], plugins: Mapping[str, bytes]) -> dict[str, Content]:
    """The suite's file as it is now, where it is still there; it names plugins where the archive has them."""
    source = Path(str(lock.get("source", "")))
    if source.suffix != ".toml" or not source.is_file():
        return {}
    return {SUITE: naming(source.read_bytes(), source.parent, plugins)}


def _pictures(folder: StackFolder) -> Iterator[Path]:
    """The stack's sheets of generated samples, and of real ones."""
    yield from (path for _, _, path in folder.sheets())
    if folder.real_sheet:
        yield folder.real_sheet


def _files(folder: StackFolder, thin: int | None) -> Iterator[tuple[str, Content]]:
    """(name, content) of a stack's files, sheets apart."""
    there = {name: folder.path / name for name in _PLAIN if (folder.path / name).is_file()}
    yield from {**there, **_without_places(folder)}.items()
    if thin is None:
        yield from ((part.name, part) for _, _, part in folder.trace_parts())
        return
    table = folder.traces_table()
    if table is not None and len(table):
        yield _thinned(table, thin)


def _thinned(table: pa.Table, count: int) -> tuple[str, bytes]:
    """A part with `count` of the traces' steps, evenly spaced, and the last one of every run."""
    steps = np.unique(table["step"].to_numpy())
    places = np.linspace(0, len(steps) - 1, min(count, len(steps))).round().astype(int)
    # a run that was frozen has no row after that step: its last one must stay
    ends = table.group_by("run").aggregate([("step", "max")])["step_max"].to_numpy()
    steps_kept = np.union1d(steps[places], ends)
    thinned = table.filter(pc.is_in(table["step"], pa.array(steps_kept)))
    # one chunk: the bytes depend on the rows alone, not on where the parts of the traces were cut
    return f"trace-{steps[0]:010d}-{steps[-1]:010d}.parquet", _parquet(thinned.combine_chunks())


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
