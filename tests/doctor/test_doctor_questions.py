"""The questions themselves, as far as a CPU can answer them."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from run_cli import needs_builtins

from ganbench.doctor import agreement, cards, facts, repetition, speed, waits, ways
from ganbench.doctor.folders import folders, looked_at
from ganbench.doctor.games import Game, Name
from ganbench.executors.compiled import Compiled

pytestmark = needs_builtins
GAME = Name.R1


def test_facts_of_this_machine():
    found = facts.facts("cpu")
    assert found.torch == torch.__version__
    assert 0 < found.available <= found.memory
    assert found.cores >= 1
    assert found.gpu is None


def test_a_container_s_limits(monkeypatch):
    files = {"/sys/fs/cgroup/cpu.max": ["150000", "100000"], "/sys/fs/cgroup/memory.max": ["1000000"]}
    monkeypatch.setattr(facts, "_words", lambda path: files.get(path, []))
    found = facts.facts("cpu")
    assert (found.quota, found.memory) == (1.5, 1_000_000)


@pytest.mark.parametrize("files", [{"/sys/fs/cgroup/cpu.max": ["max", "100000"]}, {}])
def test_no_limits(monkeypatch, files):
    monkeypatch.setattr(facts, "_words", lambda path: files.get(path, []))
    assert facts.facts("cpu").quota is None


@pytest.mark.parametrize(
    ("built", "capability", "supported"),
    [
        (["sm_80", "sm_90"], (9, 0), True),
        (["sm_80", "sm_90"], (8, 6), True),
        (["sm_80", "sm_90"], (7, 5), False),
        (["sm_80", "sm_90"], (12, 0), False),
        (["sm_90a", "compute_90"], (12, 0), True),
        ([], (9, 0), False),
    ],
)
def test_code_for_an_architecture(monkeypatch, built, capability, supported):
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    assert facts._supported(*capability) is supported


def test_nvidia_smi_need_not_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards.cards() == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H200\necho NVIDIA H200\n")
    program.chmod(0o755)
    assert cards.cards() == ("NVIDIA H200", "NVIDIA H200")
    program.write_text("#!/bin/sh\necho Failed to initialize NVML\nexit 9\n")
    assert cards.cards() == ()


def test_folders_are_not_made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    found = folders()
    assert [folder.purpose for folder in found] == ["results", "cache", "compiled steps"]
    assert all(folder.why_not is None and folder.free > 0 and not folder.entries for folder in found)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert looked_at("cache", file).why_not == "Not a directory"
    assert looked_at("cache", file / "below").why_not
    assert looked_at("cache", tmp_path.__class__("/proc/none")).why_not


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    found = ways.way("compiled", "cpu")
    assert not found.works
    assert found.reason == "there is no C++ compiler (g++ or clang++) on this machine"


def test_an_executor_that_fails(monkeypatch):
    def fail(self, *args):
        raise RuntimeError("undefined symbol\nmore of it")

    monkeypatch.setattr(Compiled, "prepare", fail)
    found = ways.way("compiled", "cpu")
    assert (found.works, found.reason) == (False, "undefined symbol")


@pytest.mark.parametrize("name", ["loop", "eager"])
def test_ways_that_work(name):
    found = ways.way(name, "cpu")
    assert found.works, found.reason


def test_every_way_is_tried():
    assert ways.names("cpu")[:3] == ("compiled", "loop", "eager")
    assert ways.names("cuda")[:5] == ("cuda-graph", "cuda-graph-uncompiled", "compiled", "eager", "loop")


def test_the_map_agrees_with_the_loop():
    found = agreement.agreements([(GAME, "eager")], "cpu")
    assert [one.precision for one in found] == ["float64", "float32"]
    assert all(one.holds for one in found), found


@pytest.mark.slow
def test_the_map_agrees_with_the_loop_in_every_game():
    found = agreement.agreements([(name, "eager") for name in Name], "cpu")
    assert len(found) == len(Name) + 1
    assert all(one.holds for one in found), found


def test_a_disagreement_is_seen(monkeypatch):
    monkeypatch.setattr(agreement, "SINGLE", 0.0)
    assert [one.holds for one in agreement.agreements([(GAME, "eager")], "cpu")] == [True, False]


def test_differences():
    one = [torch.tensor([100.0, 0.0])]
    assert agreement.difference([torch.tensor([101.0, 0.0])], one) == pytest.approx(0.01)
    assert math.isnan(agreement.difference([torch.tensor([math.nan, 0.0])], one))
    assert agreement.difference([torch.zeros(0)], [torch.zeros(0)]) == 0.0


def test_a_game_that_raises_leaves_the_others(monkeypatch):
    def trainer(self, way, runs):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(Game, "trainer", trainer)
    found = agreement.agreements([(GAME, "eager")], "cpu")
    assert [one.reason for one in found] == ["no kernel", "no kernel"]
    assert not any(one.holds for one in found)


def test_digests_repeat(monkeypatch):
    # put back at the end: the question sets them
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.setenv("TRITON_CACHE_DIR", "")
    once, again = (repetition.digests([GAME], "loop", "cpu") for _ in range(2))
    assert once == again
    assert len(once[GAME]) == 64


def test_speed():
    [found] = speed.rates([("loop", 1)], "cpu")
    assert min(found.preparing, found.draws, found.steps, found.evaluation, found.run_steps) > 0
    assert 0 < found.evaluating < 1


class Waiting:
    """A trainer that warns as torch does, in steps if `in_steps`, and once a chunk."""

    def __init__(self, in_steps: bool) -> None:
        self.in_steps = in_steps

    def load_chunk(self) -> None:
        pass

    def advance(self, steps: int) -> None:
        for _ in range(1 + steps * self.in_steps):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)


@pytest.mark.filterwarnings("ignore:called a synchronizing")
@pytest.mark.parametrize("in_steps", [False, True])
def test_waits_in_steps_are_told_from_those_of_a_chunk(monkeypatch, in_steps):
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(Game, "trainer", lambda self, way, runs: Waiting(in_steps))
    found = waits.waits("cuda-graph")
    assert found.in_steps is in_steps
    assert found.waits == ((2, 64) if in_steps else (1, 1))
    assert ("test_doctor_questions.py" in found.where) is in_steps
    assert modes == ["warn", "default"] * 2
