"""The resolved suite, as a folder of results keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from ganbench.storage.atomic import read_json, write_json
from ganbench.storage.records import SuiteLock

LOCK_NAME = "suite.lock.json"


def write_lock(root: Path, lock: SuiteLock) -> None:
    """Write the resolved suite, `root`/suite.lock.json."""
    Path(root).mkdir(parents=True, exist_ok=True)
    write_json(Path(root) / LOCK_NAME, lock)


def read_lock(root: Path) -> SuiteLock | None:
    """The resolved suite; None where there is none or where it is unreadable."""
    return cast(SuiteLock | None, read_json(Path(root) / LOCK_NAME)[0])


def lock_in(root: Path) -> SuiteLock:
    """The resolved suite: with all keys, or, where there is none or it is unreadable, without any."""
    return read_lock(root) or cast(SuiteLock, {})
