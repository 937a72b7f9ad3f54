"""A question ends, however its process does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from ganbench.doctor.children import Lost, ask

ENOUGH = 120.0


def doubled(number: int, *, by: int = 2) -> int:
    return number * by


def raises() -> int:
    raise RuntimeError("no kernel image\nfor this device")


def raises_nothing_to_read() -> int:
    raise AssertionError


def dies() -> int:
    print("the context is dead", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def exits() -> int:
    os._exit(7)


def hangs() -> int:
    time.sleep(1000)
    return 0


def starts_another_and_dies(path: str) -> int:
    Path(path).write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
    os._exit(1)


def prints() -> int:
    print("on standard output", flush=True)
    os.system("echo from a program of its own >&2")
    return 1


def test_an_answer_comes_back():
    assert ask(ENOUGH, doubled, 4, by=3) == 12


def test_an_exception_is_a_reason():
    assert ask(ENOUGH, raises) == Lost("raised", "no kernel image")
    assert ask(ENOUGH, raises_nothing_to_read) == Lost("raised", "AssertionError")


def test_a_death_is_a_reason():
    assert ask(ENOUGH, dies) == Lost("died", "killed by SIGSEGV: the context is dead")
    assert ask(ENOUGH, exits) == Lost("died", "ended with exit code 7")


def test_a_hang_is_stopped():
    begun = time.monotonic()
    assert ask(0.5, hangs) == Lost("hung", "stopped after 0.5 s")
    assert time.monotonic() - begun < 100


def test_what_the_process_started_ends_with_it(tmp_path):
    path = tmp_path / "pid"
    assert ask(ENOUGH, starts_another_and_dies, str(path)) == Lost("died", "ended with exit code 1")
    assert gone(int(path.read_text()))


def gone(pid: int) -> bool:
    """Whether a process has ended; it may still wait for its new parent to notice."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.1)
                continue
        return True
    return False


def test_nothing_is_printed(capfd):
    assert ask(ENOUGH, prints) == 1
    assert capfd.readouterr() == ("", "")
