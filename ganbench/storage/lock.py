"""A lock that keeps a second process out of a folder of results."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from pathlib import Path

import psutil

from ganbench.errors import BadInput, Problem


class FolderLock:
    """Keeps a second ganbench process out of a results folder: `with FolderLock(root): ...`.

    A lock left by a dead process of this host is taken over at once. Whether a process of another host
    lives cannot be seen here: its lock is taken over when it was not refreshed for `stale_after` seconds.
    """

    def __init__(self, root: Path, stale_after: float = 6 * 3600.0) -> None:
        self.path = Path(root) / ".ganbench.lock"
        self.stale_after = stale_after
        self._token = secrets.token_hex(8)

    def __enter__(self) -> FolderLock:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for _ in range(100):  # each further round: another process came or went in between
                if self._create():
                    return self
                text = _read_text(self.path)
                if text is not None:
                    self._refuse_if_held()
                    self._remove(text)
        except OSError as error:
            raise BadInput(Problem(str(folder), f"cannot be written to ({error.strerror})")) from None
        raise BadInput(Problem(str(folder), f"cannot be locked; remove {self.path} and start again"))

    def __exit__(self, *_: object) -> None:
        # only our own: another host may have taken over a lock that looked stale
        if self._token in (_read_text(self.path) or ""):
            self.path.unlink(missing_ok=True)

    def refresh(self) -> None:
        """Say that this process is alive. Call it now and then where other hosts share the folder."""
        with contextlib.suppress(OSError):
            os.utime(self.path)

    def holder(self) -> tuple[str, bool] | None:
        """(who wrote the lock, whether it still holds), without taking it; None where there is none."""
        text = _read_text(self.path)
        try:
            age = time.time() - self.path.stat().st_mtime
        except OSError:
            return None
        return None if text is None else self._holder(text, age)

    def _create(self) -> bool:
        pid = os.getpid()
        holder = {"pid": pid, "born": _born(pid), "host": socket.gethostname(), "token": self._token}
        try:
            # O_EXCL: of processes that try at once, the file system lets one create the file
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(holder, file)
        return True

    def _refuse_if_held(self) -> None:
        who, held = self.holder() or ("", False)
        if held:
            what = f"is in use by {who}; wait for it to end, or remove {self.path} if it is gone"
            raise BadInput(Problem(str(self.path.parent), what))

    def _holder(self, text: str, age: float) -> tuple[str, bool]:
        """(who wrote the lock, whether it still holds), from the lock's text and its age in seconds."""
        try:
            holder = json.loads(text)
            pid, born, host = int(holder["pid"]), holder["born"], str(holder["host"])
        except (ValueError, TypeError, KeyError):
            # Half a lock: its owner is writing it just now, or was killed while writing. Ten seconds are
            # ample for one line.
            return "a process that is just starting", age < min(10.0, self.stale_after)
        here = host == socket.gethostname()
        held = not _dead(pid, born) if here else age < self.stale_after
        return f"process {pid} on {host}", held

    def _remove(self, text: str) -> None:
        """Remove the stale lock that read `text`. If another process was faster, give its lock back."""
        # Rename, then look: a rename takes the file from everyone at once, while "read, then unlink" could
        # unlink the lock that another process made between the two. What was taken by mistake is linked back,
        # which fails where a third has made a lock since: then that one holds.
        aside = self.path.with_name(f"{self.path.name}.{self._token}")
        with contextlib.suppress(OSError):
            os.rename(self.path, aside)
            if _read_text(aside) != text:
                os.link(aside, self.path)
        aside.unlink(missing_ok=True)


def _dead(pid: int, born: str | None) -> bool:
    """Whether no process has this id, or another one got it since: ids are reused, above all in containers.

    Arguments:
        born: what `_born` gave when the lock was written; None where that was unknown.
    """
    return not psutil.pid_exists(pid) or (born is not None and _born(pid) != born)


def _born(pid: int) -> str | None:
    """When a process began, in ticks since the machine did. None off Linux, and for a zombie, which is dead.

    Not `psutil.Process.create_time`: it adds the time of boot, which moves when the clock is set. A lock
    would then look stale while its process trains.
    """
    stat = _read_text(Path(f"/proc/{pid}/stat"))
    fields = stat.rpartition(")")[2].split() if stat else []  # the name before ")" may hold blanks
    # proc(5) counts from 1, and these begin with its field 3, the state: [19] is its field 22, starttime
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
