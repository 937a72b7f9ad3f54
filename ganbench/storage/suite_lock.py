"""The resolved suite, as a folder of results keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganbench.storage.atomic import read_json, write_json

LOCK_NAME = "suite.lock.json"


def write_lock(root: Path, lock: Mapping[str, Any]) -> None:
    """Write the resolved suite, `root`/suite.lock.json."""
    Path(root).mkdir(parents=True, exist_ok=True)
    write_json(Path(root) / LOCK_NAME, lock)


def read_lock(root: Path) -> dict[str, Any] | None:
    """The resolved suite; None where there is none or where it is unreadable."""
    return read_json(Path(root) / LOCK_NAME)[0]
