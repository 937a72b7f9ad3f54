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
