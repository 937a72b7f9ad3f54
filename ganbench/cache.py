"""Where results that are worth computing once a machine are kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """For results worth computing once: the folder that GANBENCH_CACHE names, or the user's cache."""
    named = os.environ.get("GANBENCH_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("ganbench")
