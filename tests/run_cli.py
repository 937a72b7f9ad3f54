"""Running the command line in tests: in a process of its own, or here, with the stacks trained here too."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pandas as pd
import pytest

import ganbench
from ganbench import cli
from ganbench.engine.data import Sources
from ganbench.machine.gpus import Gpu
from ganbench.plugins import discovery
from ganbench.running.events import WorkerEvent
from ganbench.running.worker import StackWorker

TESTS = Path(__file__).parent
SUITES = TESTS / "files" / "suites"
TOY = SUITES / "toy.toml"
"""Four variants of toys, two seeds: an eighth of a second."""
RING = SUITES / "ring.toml"
"""Two variants of built-ins, two seeds."""

needs_builtins = pytest.mark.skipif(
    bool(os.environ.get("GANBENCH_TESTS_BLOCK_BUILTINS")), reason="the built-ins are blocked"
)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, which must be JSON and nothing else."""
        return json.loads(self.out)


class InlinePool:
    """Trains in this process, so that there is nothing to start. With the interface of `Pool`."""

    stops = False
    """Whether each stack is left, resumable, after its first chunk."""

    def __init__(
        self, workers: int, plugin_files: Sequence[str], timeout: float = math.inf, gpus: Sequence[Gpu] = ()
    ) -> None:
        catalogue = discovery.discover(plugin_files)
        self._events: deque[WorkerEvent] = deque()
        gpu = gpus[0] if gpus else None
        self._worker = StackWorker(
            catalogue, Sources(catalogue), self._events.append, lambda: self.stops, gpu
        )
        self._waiting: deque[str] = deque()

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, path: str) -> None:
        self._waiting.append(path)

    def train(self, paths: Sequence[str]) -> Iterator[WorkerEvent]:
        self._waiting.extend(paths)
        while self._waiting:
            self._worker.train(Path(self._waiting.popleft()))
            while self._events:
                yield self._events.popleft()


def ganbench_here(*args: object, pool: Any = InlinePool, columns: int = 120) -> Done:
    """`ganbench ARGS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("ganbench.running.pool.Pool", pool),
        mock.patch.object(sys, "argv", ["ganbench", *map(str, args)]),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def command(*args: object) -> list[str]:
    """The command line that runs `ganbench ARGS` with this Python."""
    return [sys.executable, "-c", "from ganbench.cli import main; main()", *map(str, args)]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, one thread, and no terminal's width of the machine that tests."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", **extra}


def ganbench_process(
    *args: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> Done:
    """`ganbench ARGS` in a process of its own, in the folder `cwd`."""
    done = subprocess.run(
        command(*args),
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def rows(folder: Path) -> dict[str, pd.DataFrame]:
    """All rows of a folder of results in an order of their own, but for how long things took."""
    results = ganbench.load(folder)
    order = ["key", "player", "metric", "step"]
    frames = {"runs": results.runs, "evaluations": results.evaluations, "traces": results.traces}
    tidy = {}
    for name, frame in frames.items():
        plain = frame.astype({c: str for c in frame if isinstance(frame[c].dtype, pd.CategoricalDtype)})
        by = [column for column in order if column in plain]
        plain = plain.drop(columns=["seconds", "evaluation_seconds"], errors="ignore")
        tidy[name] = plain.sort_values(by, ignore_index=True)
    return tidy


def assert_same_rows(
    one: Mapping[str, pd.DataFrame], other: Mapping[str, pd.DataFrame], ignoring: Sequence[str] = ()
) -> None:
    """Bit for bit, NaN equal to NaN."""
    for name, frame in one.items():
        left, right = (f.drop(columns=list(ignoring), errors="ignore") for f in (frame, other[name]))
        assert len(left), f"there are no {name} to compare"
        pd.testing.assert_frame_equal(left, right, check_exact=True, obj=name)


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path -> content of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
