"""Folders -> one `Results`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ganbench.errors import BadInput, Problem, nearest
from ganbench.results.merging import Source, merged
from ganbench.results.results import Results
from ganbench.storage.atomic import read_json
from ganbench.storage.records import SuiteLock
from ganbench.storage.schema import SCHEMA
from ganbench.storage.stack_folder import lost_stacks, stack_folders
from ganbench.storage.suite_lock import LOCK_NAME


def load(path: Path | str, *more: Path | str) -> Results:
    """The results of one or more folders, e.g. "results/quickstart". Frames are built when asked for.

    Arguments:
        path: the folder of a suite, or one that holds such folders: then all of these are loaded.
        more: further ones. The same run (by its key) in several of them counts once.

    Raises BadInput where there is no such folder, nothing in it, or results of another schema.
    """
    # By resolved path: a folder that is given twice, or through a link, counts once.
    roots = {root.resolve(): root for given in (path, *more) for root in _roots(Path(given))}
    sources = [_read(root) for root in roots.values()]
    folders = [folder for source in sources for folder in source.folders]
    notes = [note for source in sources for note in source.notes]
    if len(sources) == 1:
        return Results(sources[0].root, sources[0].lock, folders, notes)
    lock, renamed = merged(sources)
    return Results(Path(path), lock, folders, [*notes, *renamed], [source.root for source in sources])


def _roots(path: Path) -> Iterator[Path]:
    """The suites' folders that a path stands for: itself, or those within it."""
    if path.is_file():
        problem = "is a file: check an archive with `ganbench verify`, unpack it, and load its folder"
        raise BadInput(Problem(str(path), problem))
    if not path.is_dir():
        hint = nearest(path.name, _suites(path.parent))
        raise BadInput(Problem(str(path), f"no such folder of results; {hint}"))
    if _is_suite(path):
        yield path
        return
    inside = _suites(path)
    if not inside:
        problem = "there are no results here; give the folder that `ganbench run` named"
        raise BadInput(Problem(str(path), problem))
    yield from (path / name for name in inside)


def _is_suite(folder: Path) -> bool:
    # Either is enough: stacks can be read without a lock, and a lock lists runs that have no stack.
    return (folder / LOCK_NAME).is_file() or (folder / "stacks").is_dir()


def _suites(folder: Path) -> list[str]:
    """Names of the folders in `folder` that look like results."""
    # Sorted, because file systems list in any order, and of copies of a run the first folder's is shown.
    return sorted(p.name for p in folder.iterdir() if _is_suite(p)) if folder.is_dir() else []


def _read(root: Path) -> Source:
    found, problem = read_json(root / LOCK_NAME)
    # A damaged lock is no error: the stacks' own configurations name their runs.
    lock, folders = found or {}, stack_folders(root)
    if not folders and not lock:
        what = f"there are no results here{f' ({LOCK_NAME} cannot be read: {problem})' if problem else ''}"
        raise BadInput(Problem(str(root), f"{what}; give the folder that `ganbench run` named"))
    # An absent lock passes: it names no schema.
    if lock.get("schema", SCHEMA) != SCHEMA:
        what = f"was written in schema {lock['schema']!r}; this ganbench reads schema {SCHEMA}"
        raise BadInput(Problem(str(root / LOCK_NAME), what))
    notes = [f"{root / LOCK_NAME} cannot be read and counts as absent: {problem}"] if problem else []
    notes += [
        f"{path / 'config.json'} is missing or unreadable: the results of its runs are left out"
        for path in lost_stacks(root)
    ]
    return Source(root, cast("SuiteLock", lock), folders, notes)
