"""What follows from findings, and how it is said."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from made_findings import FACTS, GB, GPU, agreement, on_cpu, on_gpu, rate

from ganbench.doctor.advice import advice
from ganbench.doctor.children import Lost
from ganbench.doctor.findings import Folder, Memory, Repetition, Waits, Way
from ganbench.doctor.lines import Verdict, lines


def texts(report) -> str:
    return "\n".join(one.text for one in advice(report))


def stops(report) -> bool:
    return any(one.stops for one in advice(report))


def test_a_sound_cpu_needs_no_advice():
    assert advice(on_cpu()) == []


def test_a_sound_gpu_needs_only_to_know_when_to_use_it():
    assert texts(on_gpu()) == "small networks: use the GPU from 1,024 runs on (of 1, 32, 1,024 measured)"


def test_a_gpu_that_is_slower_than_the_cores():
    report = replace(on_gpu(), rates=(rate("cpu", 1, 500), rate("cuda", 1, 400)))
    assert "small networks train faster on this machine's 4 cores: `--device cpu`" in texts(report)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cxx_compiler": None}, "no C++ compiler: `apt install g++`"),
        ({"quota": 1.5}, "grants the time of 1.5 of 4 cores: pass `--workers 1`"),
        ({"available": GB // 2}, "only 500.0 MB of memory are free"),
        ({"cards": ("NVIDIA T4",)}, "`nvidia-smi` lists NVIDIA T4, but torch 2.14.1 cannot use it"),
    ],
)
def test_facts_of_a_cpu(changed, said):
    report = replace(on_cpu(), facts=replace(FACTS, **changed))
    assert said in texts(report)
    assert not stops(report)


def test_a_gpu_that_is_left_alone_needs_no_advice():
    assert advice(replace(on_cpu(), facts=replace(FACTS, cards=("NVIDIA T4",), cuda=True))) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"supported": False}, "no code for compute capability 9.0"),
        ({"processes": 2}, "the GPU is busy: other processes on it: 2"),
    ],
)
def test_facts_of_a_gpu(changed, said):
    assert said in texts(replace(on_gpu(), facts=replace(FACTS, gpu=replace(GPU, **changed))))


def test_what_triton_needs():
    said = texts(replace(on_gpu(), facts=replace(FACTS, gpu=GPU, triton=None, c_compiler=None)))
    assert "no Triton: `pip install triton`" in said
    assert "no C compiler: `apt install gcc`" in said


@pytest.mark.parametrize(
    ("purpose", "stopping"), [("results", True), ("cache", False), ("compiled steps", False)]
)
def test_a_folder_that_cannot_be_written(purpose, stopping):
    report = replace(on_cpu(), folders=(Folder(purpose, "/there", "Read-only file system", GB, 0),))
    assert "/there cannot be written (Read-only file system)" in texts(report)
    assert stops(report) is stopping


def test_a_full_disk():
    report = replace(on_cpu(), folders=(Folder("cache", "/there", None, GB // 10, 0),))
    assert "/there: only 100.0 MB are free" in texts(report)


def test_a_machine_that_cannot_be_asked():
    report = replace(on_gpu(), facts=Lost("raised", "no CUDA driver"), ways=())
    assert "the cuda cannot be used: no CUDA driver" in texts(report)
    assert stops(report)


@pytest.mark.parametrize("difference", [1e-2, math.nan])
def test_other_numbers_stop(difference):
    report = replace(on_gpu(), agreements=(agreement(), agreement(difference)))
    assert "dcgan by cuda-graph computes other numbers than the CPU's loop" in texts(report)
    assert stops(report)


def test_a_game_that_fails_does_not_stop():
    """Training falls back to another way."""
    report = replace(on_gpu(), agreements=(agreement(math.nan, "out of memory"),))
    assert not stops(report)
    assert [line.text for line in lines(report) if "out of memory" in line.text]


def test_smaller_faults_of_a_gpu():
    report = replace(
        on_gpu(),
        waits=Waits("cuda-graph", (1, 63), (2, 65), "somewhere.py:3: called a synchronizing operation"),
        repetitions=(Repetition("dcgan", "cuda-graph", False),),
        memory=Memory("cuda-graph", (*range(1, 11),), 256, GB, 3 * GB),
        rates=(rate("cuda", 1024, 1e6, evaluation=60.0),),
    )
    said = texts(report)
    for part in (
        "each step waits for the GPU, which slows it down: somewhere.py:3",
        "ends with other bits",
        "captured steps leave memory behind",
        "3.0 times the memory that is planned",
        "evaluations every 500 steps take 99% of the time of 1024 runs",
    ):
        assert part in said
    assert not stops(report)


def test_no_way():
    report = replace(on_gpu(), ways=(Way("cuda-graph", False, 0.0, "no driver"),))
    assert advice(report)[0].text.startswith("no way of training works on this cuda; `--device cpu`")
    assert stops(report)


def test_a_line_for_each_question():
    report = replace(on_gpu(), waits=Lost("hung", "stopped after 5 s"))
    found = {line.question: line for line in lines(report)}
    assert found["GPU"].text.startswith("NVIDIA H200, compute capability 9.0, 140.0 GB")
    assert found["waits"].verdict == Verdict.FAILED
    assert found["waits"].text == "stopped after 5 s"
    assert found["way taken"].text == "`ganbench run` takes cuda-graph"
    assert found["agreement in float64"].text == (
        "2 games by cuda-graph, 20 steps: at most 1e-12 from the CPU's loop"
    )


def test_what_needs_a_gpu_is_one_line_without_one():
    [line] = [line for line in lines(on_cpu()) if line.verdict == Verdict.NOT_ASKED]
    assert line.text == "no GPU"
