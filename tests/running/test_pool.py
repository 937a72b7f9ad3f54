"""Worker processes: who is replaced, what a replacement inherits, and that no stack is lost with a worker."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from run_cli import TESTS, TOY, InlinePool, ganbench_here

from ganbench.machine.gpus import Gpu
from ganbench.running import pool as pools
from ganbench.running.events import Failed, Finished, Last, Message
from ganbench.running.pool import Pool
from ganbench.storage.stack_folder import stack_folders

GPU = Gpu(1, "NVIDIA H200", 140 * 10**9, (9, 0), visible="GPU-1a2b")


class Unstarted(InlinePool):
    """Is told the stacks and trains none."""

    def train(self, paths):
        return iter(())


@pytest.fixture
def folders(tmp_path, without_page):
    ganbench_here(
        "run", TOY, "--seeds", 1, "--steps", 2, "--out", tmp_path, "--device", "cpu", pool=Unstarted
    )
    return stack_folders(tmp_path)


class Counting(Pool):
    """Counts the workers that were replaced."""

    replaced = 0

    def _replace(self, worker):
        self.replaced += 1
        return super()._replace(worker)


def ends(pool, folders):
    """Stack -> its last events."""
    found = {}
    for event in pool.train([str(folder.path) for folder in folders]):
        if isinstance(event, Last):
            found.setdefault(event.stack, []).append(event)
    return found


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine where all that asks for CUDA fails")
def test_a_worker_that_failed_on_a_gpu_is_replaced_and_its_next_stack_trains(folders):
    """What it was asked for: no stack fails twice, none is lost, and the reason is the worker's own."""
    broken, sound, *_ = folders
    config = broken.config()
    broken.write_config({**config, "engine": {**config["engine"], "device": "cuda"}})
    with Counting(1, [str(TESTS / "toys.py")], gpus=[GPU]) as pool:
        found = ends(pool, [broken, sound])
        assert pool.replaced == 1
    [failed], [finished] = found[broken.path.name], found[sound.path.name]
    assert isinstance(failed, Failed)
    assert "Traceback" in failed.traceback, "the worker told it, and did not just die"
    assert isinstance(finished, Finished)
    assert json.loads((sound.path / "env.json").read_text())["gpu"] is None, "it trained on the CPU"


def test_a_stack_is_not_handed_to_a_worker_that_died_while_it_waited(folders):
    with Counting(1, [str(TESTS / "toys.py")]) as pool:
        [worker] = pool._workers
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join(30)
        [[last]] = ends(pool, folders[:1]).values()
        assert isinstance(last, Finished)
        assert pool.replaced == 1


# ---- with workers that are no processes


class Pretended:
    """A worker that trains nothing. `script`: what it sends about its next stacks, a message each."""

    script: list[Message | None] = []
    started: list[Gpu | None] = []
    trained: list[tuple[str, str]] = []

    def __init__(self, plugin_files, gpu):
        self.gpu, self.path, self.late, self.leaving, self.since = gpu, "", False, False, 0.0
        self.process = SimpleNamespace(is_alive=lambda: True)
        self.pipe = self
        self.started.append(gpu)

    def send(self, path):
        self.path = path
        self.trained.append((Path(path).name, self.gpu.name if self.gpu else ""))

    def recv(self):
        message = self.script.pop(0) if self.script else Message(Finished("", ()))
        return Message(dataclasses.replace(message.event, stack=Path(self.path).name), message.leaving)

    def close(self):
        pass


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(pools, "_Worker", Pretended)
    monkeypatch.setattr(pools, "wait", lambda pipes, timeout: pipes)
    for name in ("script", "started", "trained"):
        monkeypatch.setattr(Pretended, name, [])
    return Pretended


def test_a_worker_that_leaves_gets_no_further_stack(pretended):
    pretended.script = [Message(Failed("", "broken kernel"), leaving=True)]
    with Pool(1, [], gpus=[GPU]) as pool:
        events = list(pool.train(["a", "b", "c"]))
    assert [type(event).__name__ for event in events] == ["Failed", "Finished", "Finished"]
    assert [event.stack for event in events] == ["a", "b", "c"]
    assert pretended.started == [GPU, GPU], "the replacement has the same GPU"


def test_a_stack_goes_to_a_gpu_of_its_model(pretended, folders):
    other = dataclasses.replace(GPU, index=0, name="NVIDIA T4")
    wanted = {}
    for folder, card in zip(folders, ("NVIDIA T4", "NVIDIA H200", "sold", None), strict=True):
        config = folder.config()
        folder.write_config({**config, "engine": {**config["engine"], **({"card": card} if card else {})}})
        wanted[folder.path.name] = card
    with Pool(2, [], gpus=[GPU, other]) as pool:
        list(pool.train([str(folder.path) for folder in folders]))
    assert len(pretended.trained) == 4
    for stack, card in pretended.trained:
        assert wanted[stack] in (card, "sold", None)


# ---- what they inherit


def test_a_worker_sees_its_gpu_alone(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-1a2b")
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "6")
    before = dict(os.environ)
    with pools._environment(GPU):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-1a2b"
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "6", "left to torch and the user"
    assert dict(os.environ) == before


def test_a_worker_on_a_cpu_has_one_thread(monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS", raising=False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "chosen")
    before = dict(os.environ)
    with pools._environment(None):
        assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
        changed = Counter(os.environ.items()) - Counter(before.items())
    assert {name for name, _ in changed} <= {
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"
    }  # fmt: skip
    assert dict(os.environ) == before


def test_compiled_programs_are_kept_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path / "cache"))
    with pools._environment(None):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "cache" / "programs")
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path / "file"))
    with pools._environment(None):
        assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ, "torch chooses where nothing can be written"


def test_a_folder_that_the_user_chose_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with pools._environment(None):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)
