"""Killed at any moment, a resumed suite ends in the rows of an undisturbed one, bit for bit."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
import pytest
from run_cli import (
    SUITES,
    TOY,
    Done,
    InlinePool,
    assert_same_rows,
    command,
    environment,
    files_below,
    ganbench_here,
    needs_builtins,
    rows,
)

import ganbench
from ganbench.running.events import Stopped
from ganbench.running.pool import Pool
from ganbench.storage.atomic import write_atomic
from ganbench.storage.stack_folder import stack_folders

pytestmark = pytest.mark.usefixtures("without_page")

SUITE = ("run", TOY, "--steps", 600, "--set", "defaults.evaluate.every=150", "--engine", "loop")
"""Four stacks, about a second of training."""
OFTEN = ("--plugin", SUITES / "often.py")
LONG = (*SUITE, *OFTEN, "--workers", 2)


class Started:
    """A command in a process group of its own, which can be killed alone or with its workers."""

    def __init__(self, *args: object, cwd: Path) -> None:
        self.begun = time.monotonic()
        self._log = cwd / f"log-{time.monotonic_ns()}.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command(*args), cwd=cwd, env=environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._workers: list[psutil.Process] = []

    def workers(self) -> list[psutil.Process]:
        """Its worker processes, also those of a process that has ended since the last call."""
        try:
            every = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return self._workers
        self._workers = [one for one in every if is_worker(one)]
        return self._workers

    def wait(self, timeout: float = 120) -> Done:
        code = self.process.wait(timeout)
        return Done(code, "", self._log.read_text())

    def kill(self, whom: str, rng: np.random.Generator) -> None:
        """SIGKILL the process ("parent"), it and its workers ("all"), or one worker ("worker")."""
        workers = self.workers()
        if whom == "worker":
            if workers:
                workers[rng.integers(len(workers))].kill()
            return
        os.kill(self.process.pid, signal.SIGKILL)
        for one in workers if whom == "all" else []:
            one.kill()
        self.process.wait()

    def assert_workers_end(self) -> None:
        """Workers whose parent was killed notice it and end by themselves."""
        _, alive = psutil.wait_procs(self._workers, timeout=20)
        assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@contextmanager
def started(*args: object, cwd: Path) -> Iterator[Started]:
    one = Started(*args, cwd=cwd)
    try:
        yield one
    finally:
        for process in [*one.workers(), one.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        one.process.wait()


def progress(root: Path) -> int:
    """Steps of which there are checkpoints."""
    return sum(int(folder.status().get("step") or 0) for folder in stack_folders(root))


def wait_for_progress(root: Path, one: Started, beyond: int) -> None:
    """Until a checkpoint was written, or until the command ended."""
    while progress(root) <= beyond and one.process.poll() is None:
        one.workers()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert ganbench_here(*SUITE, "--out", out).code == 0
    return rows(out)


def finish(where: Path, undisturbed) -> Done:
    """Go on to the end, here, without another disturbance; the rows must be the undisturbed ones."""
    done = ganbench_here(*SUITE, "--out", where / "out")
    assert done.code == 0, done.err
    assert_same_rows(undisturbed, rows(where / "out"))
    left = [name for name in files_below(where / "out") if "checkpoint" in name or "ganbench.lock" in name]
    assert left == []
    return done


@pytest.mark.slow
def test_killed_twice_it_ends_in_the_same_rows(undisturbed, tmp_path):
    """Once with its workers, once alone: they notice, and do not write beside their successors."""
    rng = np.random.default_rng(1)
    for whom in ("all", "parent"):
        before = progress(tmp_path / "out")
        with started(*LONG, "--out", "out", cwd=tmp_path) as one:
            wait_for_progress(tmp_path / "out", one, before)
            time.sleep(rng.uniform(0, 0.3))
            one.kill(whom, rng)
            one.assert_workers_end()
    finish(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_killed_worker_is_told_and_its_stack_trained_again(undisturbed, tmp_path):
    rng = np.random.default_rng(2)
    with started(*SUITE, *OFTEN, "--workers", 1, "--out", "out", cwd=tmp_path) as one:
        wait_for_progress(tmp_path / "out", one, 0)
        one.kill("worker", rng)
        done = one.wait()
    assert done.code == 1
    runs = ganbench.load(tmp_path / "out").runs
    crashed = runs[runs["outcome"] == "crashed"]
    assert set(crashed["reason"]) == {"the worker process was killed by signal SIGKILL"}
    assert len(crashed) == 2, "one stack"
    assert len(runs) == 8
    assert "8 runs, 6 of them already trained" in finish(tmp_path, undisturbed).err


@pytest.mark.slow
def test_ctrl_c_leaves_what_can_go_on(undisturbed, tmp_path):
    """Ctrl-C reaches the process group of the terminal: the workers have groups of their own."""
    with started(*SUITE, *OFTEN, "--workers", 1, "--out", "out", cwd=tmp_path) as one:
        wait_for_progress(tmp_path / "out", one, 0)
        os.killpg(one.process.pid, signal.SIGINT)
        done = one.wait()
        one.assert_workers_end()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert "interrupted; `ganbench run" in done.err
    assert "goes on from here" in done.err
    assert "report  out/report.html" in done.err
    states = {folder.status().get("state") for folder in stack_folders(tmp_path / "out")}
    assert "training" in states
    assert states <= {None, "training", "finished"}
    plan = ganbench_here("plan", *SUITE[1:], "--out", tmp_path / "out", "--json").json()
    assert plan["stacks"] == []
    assert plan["cached"] + 2 * len(plan["resumed"]) == 8
    finish(tmp_path, undisturbed)


@pytest.mark.slow
def test_ctrl_c_before_anything_is_trained_is_told(tmp_path):
    with started(*LONG, "--out", "out", cwd=tmp_path) as one:
        while not one.workers() and one.process.poll() is None:
            time.sleep(0.01)
        os.killpg(one.process.pid, signal.SIGINT)
        done = one.wait()
        one.assert_workers_end()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert any(line.startswith("interrupted") for line in done.err.splitlines())


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def kill_at_write(number: int):
    """A `write_atomic` that kills at the given call, before the file is there."""
    count = 0

    def write(path, fill):
        nonlocal count
        count += 1
        if count == number:
            raise Killed
        write_atomic(path, fill)

    return write


SHORT = (
    *("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]"),
    *("--engine", "loop", "--workers", 1),
)


@pytest.mark.slow
def test_killed_before_any_write_it_ends_in_the_same_rows(tmp_path, monkeypatch):
    """Every file that a stack writes is a moment to die at."""
    monkeypatch.setattr("ganbench.engine.train.CHECKPOINT_SECONDS", 0.0)
    args = (*SHORT, "--seeds", 1)
    assert ganbench_here(*args, "--out", tmp_path / "whole").code == 0
    whole = rows(tmp_path / "whole")
    for number in itertools.count(1):
        out = tmp_path / f"out{number}"
        write = kill_at_write(number)
        with (
            mock.patch("ganbench.storage.atomic.write_atomic", write),
            mock.patch("ganbench.storage.stack_folder.write_atomic", write),
        ):
            try:
                assert ganbench_here(*args, "--out", out).code == 0
            except Killed:
                pass
            else:
                break
        assert ganbench_here(*args, "--out", out).code == 0
        assert_same_rows(whole, rows(out))
    assert number > 15, (
        "lock, config, env, status, then of each checkpoint traces, evaluations, state, status …"
    )


@pytest.mark.parametrize("number", [16, 18, 21])
def test_a_killed_mapped_stack_ends_in_the_same_rows(tmp_path, number, monkeypatch):
    monkeypatch.setattr("ganbench.engine.train.CHECKPOINT_SECONDS", 0.0)
    args = (*SHORT, "--engine", "eager", "--set", "matrix.loss=['toy-bomb']",
            "--set", "options.toy-bomb.fuse=1.0", "--seeds", 4)  # fmt: skip
    assert ganbench_here(*args, "--out", tmp_path / "whole").code == 0
    write = kill_at_write(number)
    with (
        mock.patch("ganbench.storage.atomic.write_atomic", write),
        mock.patch("ganbench.storage.stack_folder.write_atomic", write),
        pytest.raises(Killed),
    ):
        ganbench_here(*args, "--out", tmp_path / "out")
    [folder] = stack_folders(tmp_path / "out")
    assert 0 < folder.checkpoint()[1]["step"] < 70
    assert ganbench_here(*args, "--out", tmp_path / "out").code == 0
    whole = rows(tmp_path / "whole")
    assert set(whole["runs"]["mapper"]) == {"map"}
    assert "diverged" in set(whole["runs"]["outcome"])
    assert_same_rows(whole, rows(tmp_path / "out"))


class DeadPool(InlinePool):
    """Is killed when it gets the folders, before anything is trained."""

    def train(self, paths):
        raise Killed


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_a_worker_that_is_stopped_while_it_starts_has_not_crashed(tmp_path, delay):
    """Ctrl-C may come while workers still load their libraries."""
    with pytest.raises(Killed):
        ganbench_here(*SHORT, "--out", tmp_path, pool=DeadPool)
    [folder] = stack_folders(tmp_path)
    with Pool(1, [str(TOY.parent / "../../toys.py")]) as pool:
        pool.add(str(folder.path))
        pool._hand_out()
        time.sleep(delay)
        events = list(pool.stop())
    assert events[-1:] == [Stopped(folder.path.name)]


def test_ctrl_c_does_not_reach_a_worker_that_starts():
    with Pool(1, []) as pool:
        [process] = [one.process for one in pool._workers]
        reached = os.getpgid(process.pid) == os.getpgrp()
        if reached:
            os.kill(process.pid, signal.SIGINT)
        process.join(1.0)
        assert process.is_alive()


def test_killed_while_verdicts_are_taken_again_they_are_taken_at_last(tmp_path):
    strict = ("--set", "verdict={ explode_ratio = 0.0, explode_steps = 1, history = 5, median_window = 40 }")
    assert ganbench_here(*SHORT, "--out", tmp_path / "whole").code == 0
    assert ganbench_here(*SHORT, *strict, "--out", tmp_path / "whole").code == 0
    for number in range(1, 4):  # the lock, the config, the runs
        out = tmp_path / f"out{number}"
        assert ganbench_here(*SHORT, "--out", out).code == 0
        write = kill_at_write(number)
        with (
            mock.patch("ganbench.storage.atomic.write_atomic", write),
            mock.patch("ganbench.storage.stack_folder.write_atomic", write),
            pytest.raises(Killed),
        ):
            ganbench_here(*SHORT, *strict, "--out", out)
        assert ganbench_here(*SHORT, *strict, "--out", out).code == 0
        assert_same_rows(rows(tmp_path / "whole"), rows(out))


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 3])
def test_killed_while_folders_are_made_the_stacks_are_the_same(tmp_path, lost):
    """A kill before all stacks have their folder leaves some to be planned again: the same ones."""
    args = (*SUITE[:2], "--steps", 70, "--engine", "loop", "--workers", 8, "--seeds", 5)
    assert ganbench_here(*args, "--out", tmp_path / "whole").code == 0

    class KilledPool(InlinePool):
        def train(self, paths):
            for path in list(paths)[-lost:]:
                (Path(path) / "config.json").unlink()
            raise Killed

    with pytest.raises(Killed):
        ganbench_here(*args, "--out", tmp_path / "out", pool=KilledPool)
    assert ganbench_here(*args, "--out", tmp_path / "out").code == 0
    assert_same_rows(rows(tmp_path / "whole"), rows(tmp_path / "out"))


@needs_builtins
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_quickstart_killed_ten_times_ends_in_the_same_rows(tmp_path):
    """The main job, with the engine's own choices."""
    rng = np.random.default_rng(10)
    args = ("run", "quickstart", "--workers", 2, *OFTEN)
    (tmp_path / "whole").mkdir()
    with started(*args, "--out", "out", cwd=tmp_path / "whole") as one:
        assert one.wait(1200).code == 0
    seconds = time.monotonic() - one.begun
    whom = [str(rng.choice(["parent", "all", "all", "worker"])) for _ in range(10)]
    for victim in whom:
        with started(*args, "--out", "out", cwd=tmp_path) as one:
            deadline = one.begun + rng.uniform(0, seconds / 4)
            while time.monotonic() < deadline and one.process.poll() is None:
                one.workers()
                time.sleep(0.05)
            if one.process.poll() is not None:
                continue
            one.kill(victim, rng)
            if victim == "worker":
                one.kill("all", rng)
            one.assert_workers_end()
    with started(*args, "--out", "out", cwd=tmp_path) as one:
        assert one.wait(1200).code == 0
    assert_same_rows(rows(tmp_path / "whole" / "out"), rows(tmp_path / "out"))
