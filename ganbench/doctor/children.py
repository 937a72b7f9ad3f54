"""A question is answered in a process of its own: one that dies or hangs ends only itself."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, cast

from ganbench.machine.folders import program_variables
from ganbench.text import first_line, plain_text

P = ParamSpec("P")
T = TypeVar("T")
_TAIL = 2000  # bytes: enough for a last line, however much was printed


@dataclass(frozen=True)
class Lost:
    """A question without an answer, and why."""

    how: Literal["raised", "died", "hung"]
    reason: str


def ask(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Lost:
    """What a module's function returns, called in a new process that has `seconds` to answer."""
    context = multiprocessing.get_context("spawn")  # a forked process could not use CUDA
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        call = (function.__module__, function.__qualname__, args, kwargs)
        child = context.Process(target=_answer, args=(theirs, str(log), *call), daemon=True)
        child.start()
        theirs.close()  # while this process holds that end, the child's death would go unseen
        try:
            if not ours.poll(seconds):
                return Lost("hung", f"stopped after {seconds:g} s")
            return cast("T | Lost", ours.recv())
        except EOFError:
            child.join(5.0)  # the pipe ends a little before the process
            return Lost("died", _death(child.exitcode or 0, log))
        finally:
            with contextlib.suppress(OSError):
                os.killpg(child.pid or 0, signal.SIGKILL)  # compilers that it started, too
            child.kill()  # it may not lead its group yet
            child.join()
            ours.close()


def _answer(pipe: Connection, log: str, module: str, name: str, args: tuple[Any, ...], kwargs: Any) -> None:
    """Send what the function returns, or how it failed."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    # what libraries print, in Python or not, must not mix with the table
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    # as workers are set up, and before torch is imported
    os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | program_variables())
    try:
        pipe.send(getattr(importlib.import_module(module), name)(*args, **kwargs))
    except Exception as error:
        pipe.send(Lost("raised", first_line(error) or type(error).__name__))


def _death(code: int, log: Path) -> str:
    """How a process ended, with the last line that it printed."""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    printed = log.read_bytes()[-_TAIL:].decode("utf-8", "replace").strip() if log.exists() else ""
    last = plain_text(printed.rpartition("\n")[2])
    return f"{how}: {last}" if last else how
