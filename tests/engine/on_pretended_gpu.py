"""Tests on a pretended GPU. `test_on_gpu.py` runs them."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from pretended_gpu import pretended_gpu
from run_cli import TOY, ganbench_here
from torch.utils._python_dispatch import TorchDispatchMode
from toys import variant

import ganbench
from ganbench.engine.data import on_device
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, PureLooped, Runs
from ganbench.executors import Compiled, CudaGraph, Eager, UncompiledCudaGraph
from ganbench.game.draws import CHUNK
from ganbench.testing.case import Case
from ganbench.testing.executors import does_what_the_step_does, leaves_the_state_until_called

SHORT = ("--device", "cuda", "--set", "defaults.steps=6", "--set", "defaults.evaluate.every=3")
GPU = torch.device("cuda", 0)
PEEKING = """
from dataclasses import dataclass
import ganbench

@dataclass(frozen=True)
class Peeking(ganbench.Loss):
    name = "peeking"
    family = "toy-gan"

    def discriminator(self, out):
        return out["fake_logits"].mean() - out["real_logits"].mean() + 0 * float(out["fake_logits"].mean())

    def generator(self, out):
        return -out["fake_logits"].mean()

@ganbench.hookimpl
def ganbench_losses():
    return [Peeking]
"""

PUTTING = """
from dataclasses import dataclass
import torch
import ganbench

@dataclass(frozen=True)
class Putting(ganbench.Loss):
    name = "putting"
    family = "toy-gan"

    def discriminator(self, out):
        torch.zeros(1).put_(torch.zeros(1, dtype=torch.int64), torch.ones(1))  # torch warns of it anywhere
        return out["fake_logits"].mean() - out["real_logits"].mean()

    def generator(self, out):
        return -out["fake_logits"].mean()

@ganbench.hookimpl
def ganbench_losses():
    return [Putting]
"""


@pytest.fixture
def without_cuda(monkeypatch, without_page):
    """Executors that fail as they would with no compiler and a capture that is refused."""

    def fail(reason):
        def prepare(self, step, written, read):
            raise RuntimeError(reason)

        return prepare

    monkeypatch.setattr(Compiled, "prepare", fail("no compiler"))
    monkeypatch.setattr(CudaGraph, "prepare", fail("no compiler"))
    monkeypatch.setattr(UncompiledCudaGraph, "prepare", fail("no capture"))


def engines(out):
    return [json.loads(p.read_text())["engine"] for p in sorted(out.glob("stacks/*/config.json"))]


def on_gpu(toys, blob, config, make):
    data = on_device(blob, GPU)
    return make(Program(config, toys, data), Runs((0, 1), ({}, {})), data, GPU)


def test_a_suite_trains_on_a_gpu_where_only_the_map_works(tmp_path, without_cuda):
    with pretended_gpu():
        done = ganbench_here("run", TOY, *SHORT, "--out", tmp_path)
    assert done.code == 0, done.err
    assert set(ganbench.load(tmp_path).runs["outcome"]) == {"finished"}
    ways = engines(tmp_path)
    assert {(way["mapper"], way["executor"], way["device"]) for way in ways} == {("map", "eager", "cuda")}
    assert {way["why"] for way in ways} == {
        "the executor cuda-graph failed: no compiler; the executor cuda-graph-uncompiled failed: no capture; "
        "the executor compiled failed: no compiler"
    }

    assert {way["planned"] for way in ways} == {"cuda-graph"}
    rows = ganbench.load(tmp_path).runs
    assert set(rows["executor"]) == {"eager"}
    assert set(rows["planned_executor"]) == {"cuda-graph"}
    assert set(rows["executor_reason"]) == {ways[0]["why"]}
    sentence = "a stack is trained by eager, not by cuda-graph as planned: the executor cuda-graph failed"
    assert done.err.count(f"warning: {sentence}") == 1
    assert "were trained by eager, not by cuda-graph as planned" in (tmp_path / "report.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("tf32", [False, True])
def test_a_gpu_multiplies_in_tf32_only_where_the_suite_says_so(tf32, tmp_path, without_cuda):
    asked = ("--set", "defaults.tf32=true") if tf32 else ()
    cell = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]", "--seeds", "1")
    with pretended_gpu():
        done = ganbench_here("run", TOY, *SHORT, *cell, *asked, "--out", tmp_path)
    assert done.code == 0, done.err
    [env] = [json.loads(path.read_text()) for path in tmp_path.glob("stacks/*/env.json")]
    assert (env["gpu_settings"]["matmul_tf32"], env["gpu_settings"]["convolution_tf32"]) == (tf32, tf32)
    assert env["gpu_settings"]["cudnn_deterministic"]
    assert env["gpu"]["capability"] == "9.0"


def test_operations_without_a_deterministic_algorithm_are_recorded(tmp_path, without_cuda):
    plugin = tmp_path / "putting.py"
    plugin.write_text(PUTTING)
    arguments = ("--plugin", plugin, "--set", 'matrix.loss=["putting"]', "--out", tmp_path / "out")
    with pretended_gpu():
        done = ganbench_here("run", TOY, *SHORT, *arguments)
    assert done.code == 0, done.err
    assert {tuple(way["nondeterministic"]) for way in engines(tmp_path / "out")} == {("put_",)}
    assert "deterministic implementation" not in done.err


def test_what_cannot_be_mapped_trains_run_by_run(tmp_path, without_cuda):
    plugin = tmp_path / "peeking.py"
    plugin.write_text(PEEKING)
    arguments = ("--plugin", plugin, "--set", 'matrix.loss=["peeking"]', "--out", tmp_path / "out")
    with pretended_gpu():
        done = ganbench_here("run", TOY, *SHORT, *arguments)
    assert done.code == 0, done.err
    assert set(ganbench.load(tmp_path / "out").runs["outcome"]) == {"finished"}
    for way in engines(tmp_path / "out"):
        assert (way["mapper"], way["executor"]) == ("loop", "eager")
        assert "cannot be mapped" in way["why"]
        assert "peeking.py:11" in way["why"]


def test_run_by_run_is_what_the_map_does(toys, blob):
    config = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",))
    with pretended_gpu():
        one_by_one = on_gpu(toys, blob, config, PureLooped)
        mapped = on_gpu(toys, blob, config, lambda *arguments: Mapped(*arguments, Eager()))
        for steps in (2, 3):
            torch.testing.assert_close(
                one_by_one.advance(steps), mapped.advance(steps), rtol=1e-9, atol=1e-9, equal_nan=True
            )


def test_a_captured_step_is_what_the_map_does(toys, blob):
    """Captured once, it goes on from whatever its tensors hold: a new chunk, a restored state."""
    config = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",))
    with pretended_gpu():
        eager, captured = (
            on_gpu(toys, blob, config, lambda *arguments, by=by: Mapped(*arguments, by()))
            for by in (Eager, UncompiledCudaGraph)
        )
        for steps in (CHUNK, 3):
            torch.testing.assert_close(eager.advance(steps), captured.advance(steps), rtol=0, atol=0)
        captured.restore(eager.state(), 1)
        eager.restore(eager.state(), 1)
        torch.testing.assert_close(eager.advance(2), captured.advance(2), rtol=0, atol=0)


def test_a_step_that_waits_is_not_captured():
    with pretended_gpu():
        x = torch.ones(2, device="cuda")
        for waits in (lambda x: x.sum().item(), lambda x: x.cpu(), lambda x: x.copy_(torch.zeros(2))):
            with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
                UncompiledCudaGraph().prepare(waits, (x,), ())


def test_a_run_that_dies_run_by_run_leaves_the_others_alone(toys, blob):
    config = variant(loss="toy-bomb", options={"toy-bomb": {"fuse": -1.0}})
    with pretended_gpu():
        trainer = on_gpu(toys, blob, config, PureLooped)
        trainer.advance(3)
        assert trainer.died() == [1, 1]


def test_the_kit_checks_executors_on_a_gpu(toys):
    with pretended_gpu():
        case = Case(Eager, toys)
        does_what_the_step_does(case)
        leaves_the_state_until_called(case)


class Copies(TorchDispatchMode):
    """Counts the copies to the GPU."""

    number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        to = (kwargs or {}).get("device")
        moves = func._schema.name in ("aten::_to_copy", "aten::to")
        self.number += moves and torch.device(to or "cpu").type == "cuda"
        return func(*args, **(kwargs or {}))


def test_a_stack_begins_with_as_many_copies_whatever_its_size(toys, blob):
    counts = []
    with pretended_gpu():
        data = on_device(blob, GPU)
        program = Program(variant(), toys, data)
        for size in (2, 20):
            with Copies() as copies:
                Mapped(program, Runs(tuple(range(size)), ({},) * size), data, GPU, Eager())
            counts.append(copies.number)
    assert counts[0] == counts[1] > 0


def test_streamed_rows_are_those_of_a_resident_table(toys, blob):
    """Gathered and pinned beside the chunk before."""
    config = variant()
    with pretended_gpu():
        resident = on_gpu(toys, blob, config, lambda *arguments: Mapped(*arguments, Eager()))
        near = on_device(blob, GPU)
        host = dataclasses.replace(near, train=blob.train)
        streamed = Mapped(Program(config, toys, near), Runs((0, 1), ({}, {})), host, GPU, Eager())
        assert set(streamed.tables) < set(resident.tables)
        for steps in (10, CHUNK - 10, 5):
            torch.testing.assert_close(
                resident.advance(steps), streamed.advance(steps), rtol=0, atol=0, equal_nan=True
            )
