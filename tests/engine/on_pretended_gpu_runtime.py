"""Captures, failures and memory on a pretended GPU. `test_on_gpu.py` runs them."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch
from pretended_gpu import MEMORY, Graph, pretended_gpu
from run_cli import TOY, InlinePool, ganbench_here
from toys import variant

import ganbench
from ganbench.engine.data import on_device
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs
from ganbench.executors import Compiled, Eager, UncompiledCudaGraph
from ganbench.running.events import Failed, Finished, OutOfMemory

ONE = ("--set", "matrix.techniques=[[]]")
TWO = ("--set", 'matrix.loss=["toy-loss"]')
SHORT = (*TWO, "--device", "cuda", "--set", "defaults.steps=6", "--set", "defaults.evaluate.every=3")
GPU = torch.device("cuda", 0)
RAISING = """
from dataclasses import dataclass
import ganbench

@dataclass(frozen=True)
class Raising(ganbench.Metric):
    name = "raising"
    values = {"raising": "lower"}

    def measure(self, evaluation):
        raise RuntimeError("an illegal memory access")

@ganbench.hookimpl
def ganbench_metrics():
    return [Raising]
"""


@pytest.fixture(autouse=True)
def as_if_compiled(monkeypatch, without_page):
    """Inductor cannot compile for the pretended GPU: what it would compile is left as it is."""
    monkeypatch.setattr(Compiled, "available", lambda self, device: None)
    monkeypatch.setattr(Compiled, "prepare", lambda self, *step: Eager().prepare(*step))


class Workers(InlinePool):
    """Takes note of each stack's last event, and whether the worker then ended."""

    ends: list[tuple[type, bool]] = []

    def train(self, paths):
        type(self).ends = []
        for event in super().train(paths):
            if isinstance(event, Failed | Finished | OutOfMemory):
                self.ends.append((type(event), self._worker.spent))
                self._worker.spent = False  # as if replaced
            yield event


def run(out, *args):
    with pretended_gpu():
        return ganbench_here("run", TOY, *SHORT, *args, "--out", out, pool=Workers)


def engines(out):
    return [json.loads(p.read_text())["engine"] for p in sorted(out.glob("stacks/*/config.json"))]


def mapped(toys, blob, executor):
    data = on_device(blob, GPU)
    config = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",))
    return Mapped(Program(config, toys, data), Runs((0, 1), ({}, {})), data, GPU, executor)


def test_a_replayed_step_is_the_step(toys, blob):
    with pretended_gpu():
        graphs = Graph.captured
        eager, captured, other = (mapped(toys, blob, e) for e in (Eager(), *[UncompiledCudaGraph()] * 2))
        other.load_chunk()
        for steps in (40, 24, 10):  # into the next chunk
            torch.testing.assert_close(eager.advance(steps), captured.advance(steps), equal_nan=True)
        assert len(graphs) == 2
        assert graphs[0].stream is not graphs[1].stream, "each capture has a stream of its own"
        assert {graph.stream.device for graph in graphs} == {GPU}


def test_a_graph_keeps_the_kernels_that_it_replays(toys, blob):
    """The compiled step lives as long as its graph."""

    class Kernels:
        def __init__(self, step):
            self.step = step

        def __call__(self, *tensors):
            self.step(*tensors)

    made = []

    class Compiling(UncompiledCudaGraph):
        def prepare(self, step, written, read):
            kernels = Kernels(step)
            made.append(weakref.ref(kernels))
            return super().prepare(kernels, written, read)

    with pretended_gpu():
        graphs = Graph.captured
        trainer = mapped(toys, blob, Compiling())
        trainer.load_chunk()
        gc.collect()
        assert made[0]() is not None
        graphs.clear()
        del trainer
        gc.collect()
        assert made[0]() is None


def test_a_suite_trains_by_captured_graphs(tmp_path):
    done = run(tmp_path)
    assert done.code == 0, done.err
    assert {way["executor"] for way in engines(tmp_path)} == {"cuda-graph"}
    assert Workers.ends == [(Finished, False)] * 2
    [env, *_] = [json.loads(p.read_text()) for p in tmp_path.glob("stacks/*/env.json")]
    assert env["gpu"]["name"] == "pretended"
    assert env["gpu_index"] == 0


def test_memory_is_given_back_between_stacks(tmp_path):
    with pretended_gpu():
        ganbench_here("run", TOY, *SHORT, "--out", tmp_path, pool=InlinePool)
        assert torch.cuda.empty_cache.call_count >= 1


def failing(monkeypatch, error, times):
    """Captures fail, as often as that."""
    capture, left = torch.cuda.graph, [error] * times

    def fail(*args, **how):
        if left:
            raise left.pop()
        return capture(*args, **how)

    monkeypatch.setattr(torch.cuda, "graph", fail)


def test_after_a_failed_capture_the_worker_ends(tmp_path, monkeypatch):
    with pretended_gpu():
        failing(monkeypatch, RuntimeError("operation not permitted when stream is capturing"), times=2)
        done = ganbench_here("run", TOY, *SHORT, "--out", tmp_path, pool=Workers)
    assert done.code == 0, done.err
    assert Workers.ends == [(Finished, True), (Finished, False)], "the next stack trains as planned"
    [way] = [way for way in engines(tmp_path) if "why" in way]
    assert way["executor"] == "compiled"
    assert way["why"].startswith("the executor cuda-graph failed: operation not permitted")
    assert set(ganbench.load(tmp_path).runs["outcome"]) == {"finished"}


OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def full(what):
    """Memory runs out while a stack of more than one run is compiled, captured or stepped."""

    def prepare(self, step, written, read):
        crowded = len(written[0]) > 1

        def run():
            if crowded and what == "step":
                raise OUT
            step(*written, *read)

        if crowded and what == "compile":
            raise RuntimeError("the compiler failed") from OUT
        return run

    return prepare


@pytest.mark.parametrize("what", ["compile", "capture", "step"])
def test_where_memory_runs_out_a_stack_is_halved(tmp_path, monkeypatch, what):
    monkeypatch.setattr(Compiled, "prepare", full(what))
    with pretended_gpu():
        failing(monkeypatch, OUT, times=1 if what == "capture" else 0)
        done = ganbench_here("run", TOY, *SHORT, *ONE, "--out", tmp_path, pool=Workers)
    assert done.code == 0, done.err
    assert "out of memory, going on with half the runs at once" in done.err
    assert Workers.ends == [(OutOfMemory, True), (Finished, False), (Finished, False)]
    assert {way["executor"] for way in engines(tmp_path)} == {"cuda-graph"}


def test_a_single_run_that_does_not_fit_says_what_takes_the_memory(tmp_path, monkeypatch):
    def prepare(self, step, written, read):
        raise OUT

    monkeypatch.setattr(Compiled, "prepare", prepare)
    done = run(tmp_path, *ONE)
    assert done.code == 1
    [reason] = set(ganbench.load(tmp_path).runs["reason"])
    assert reason.startswith("out of memory: CUDA out of memory. Tried to allocate 2.00 GiB")
    assert f"of {MEMORY / 1e9:.1f} GB, a single run takes for the data" in reason


def test_after_a_crash_the_worker_ends_and_the_next_stack_trains(tmp_path):
    plugin = tmp_path / "raising.py"
    plugin.write_text(RAISING)
    metrics = 'defaults.evaluate={ every = 3, samples = 50, metrics = ["toy-mean", "raising"] }'
    done = run(tmp_path / "out", *ONE, "--plugin", plugin, "--set", metrics)
    assert done.code == 1
    assert Workers.ends == [(Failed, True)]
    [reason] = set(ganbench.load(tmp_path / "out").runs["reason"])
    assert "an illegal memory access" in reason
    done = run(tmp_path / "out", *ONE)
    assert Workers.ends == [(Finished, False)]


def test_planning_says_why_not_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(Compiled, "available", lambda self, device: "no Triton")
    with pretended_gpu():
        made = ganbench_here("plan", TOY, "--device", "cuda", "--out", tmp_path, "--json").json()
    for stack in made["stacks"]:
        assert stack["engine"]["executor"] == "cuda-graph-uncompiled"
        assert stack["engine"]["why"] == "cuda-graph cannot be used: no Triton"
