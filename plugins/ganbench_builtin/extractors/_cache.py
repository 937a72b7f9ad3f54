"""Weights kept on disk, shared by processes: one trains, the others wait and read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from ganbench import BadInput, Problem
from ganbench_builtin.datasets._files import write_whole

try:
    import fcntl
except ImportError:  # Windows. Without locks each process trains; the files appear whole all the same
    fcntl = None  # type: ignore[assignment]


def load_or_train(net: nn.Module, path: Path, train: Callable[[], dict[str, Any]]) -> None:
    """Fills `net` from the safetensors file `path`; where that fails, calls `train` and keeps its result.

    A note in JSON lies beside the weights: what `train` returned, and the weights' checksum. Weights
    without it, or that do not match it, are trained anew. BadInput if the folder cannot be written.
    """
    if _load(net, path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            if not _load(net, path):
                _save(net, path, train())
    except OSError as error:
        raise BadInput(Problem(str(path.parent), f"the cache cannot be written: {error}")) from error


def _load(net: nn.Module, path: Path) -> bool:
    try:
        content = path.read_bytes()
        note = json.loads(path.with_suffix(".json").read_bytes())
        if not isinstance(note, dict) or note.get("sha256") != hashlib.sha256(content).hexdigest():
            return False
        net.load_state_dict(safetensors.torch.load(content))
    except (OSError, ValueError, RuntimeError, SafetensorError):
        return False
    return True


def _save(net: nn.Module, path: Path, note: dict[str, Any]) -> None:
    content = safetensors.torch.save(net.state_dict())
    note = {**note, "sha256": hashlib.sha256(content).hexdigest()}
    write_whole(path.with_suffix(".json"), json.dumps(note, indent=1).encode())
    write_whole(path, content)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes of this machine; the lock of a process that dies is free at once."""
    with path.open("ab") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems know no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
