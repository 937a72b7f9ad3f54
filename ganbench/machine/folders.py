"""Folders of this machine: where data files may lie, and where results that are worth keeping are kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def data_root() -> Path | None:
    """Where data files may lie: the folder that GANBENCH_DATA names, if it is set."""
    named = os.environ.get("GANBENCH_DATA")
    return Path(named) if named else None


def cache_folder() -> Path:
    """For results worth computing once: the folder that GANBENCH_CACHE names, or the user's cache."""
    named = os.environ.get("GANBENCH_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("ganbench")


def program_folder() -> Path:
    """For compiled programs: the folder that TORCHINDUCTOR_CACHE_DIR names, or one in the cache.

    torch's own choice is a temporary folder, which a restart empties.
    """
    named = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    return Path(named) if named else cache_folder() / "programs"


def program_variables() -> dict[str, str]:
    """Environment variables with which a process keeps its compiled programs there."""
    folder = program_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # torch's choice may be writable all the same
        return {}
    return {"TORCHINDUCTOR_CACHE_DIR": str(folder)}
