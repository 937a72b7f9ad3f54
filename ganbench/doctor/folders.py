"""The folders that training writes to: results, ganbench's cache, the compiler's cache."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ganbench.doctor.findings import Folder
from ganbench.machine.folders import cache_folder, program_folder


def folders() -> tuple[Folder, ...]:
    """All of them, whether they are there yet or not."""
    return (
        looked_at("results", Path("results")),
        looked_at("cache", cache_folder()),
        looked_at("compiled steps", program_folder()),
    )


def looked_at(purpose: str, path: Path) -> Folder:
    """The folder, or the nearest above it that is there, in which it would be made."""
    path = path.absolute()
    nearest = next(above for above in (path, *path.parents) if above.exists())
    why_not, free, entries = None, 0, 0
    try:
        free = shutil.disk_usage(nearest).free
        entries = sum(1 for _ in path.iterdir()) if path.is_dir() else 0
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        why_not = error.strerror or type(error).__name__
    return Folder(purpose, str(path), why_not, free, entries)
