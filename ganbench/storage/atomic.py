"""Files that survive a kill: atomic writes, and JSON that is always legal."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, sync it to disk, and put it in `path`'s place."""
    # Beside `path`, for a rename is atomic only within a file system. Synced first, for the name may reach
    # the disk before the content does: a power cut would then leave an empty file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        write(temporary)
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically. Non-finite numbers become null: put a reason beside them."""
    # `plain` leaves no NaN: allow_nan=False turns a slip there into an error, not into an illegal file.
    text = json.dumps(plain(value), indent=1, allow_nan=False)
    write_atomic(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def read_json(path: Path) -> tuple[dict[str, Any] | None, str]:
    """(object, "") or (None, reason); the reason is empty where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
        # Lone surrogates come only from escapes such as "\ud800": without one, the walk is saved.
        value = _without_surrogates(json.loads(text)) if "\\ud" in text.lower() else json.loads(text)
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: brackets nested too deeply
        return None, str(error)
    return (value, "") if isinstance(value, dict) else (None, "not a JSON object")


def _without_surrogates(value: object) -> object:
    """The value with lone surrogates in its texts replaced, because UTF-8 cannot encode them."""
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def plain(value: object) -> Any:
    """The value as JSON has it: numpy becomes Python, non-finite numbers None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    # Before the tests for lists and floats: an array becomes a list, a NumPy scalar a number.
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def sync_folder(folder: Path) -> None:
    """Make a rename durable. Some systems cannot sync a folder; there it is as durable as it gets."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
