"""Which way of training is chosen: by counting, not by a clock, so that a plan is the same every time."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_cli import TOY, ganbench_here, needs_builtins
from toys import variant

from ganbench.engine.program import Program
from ganbench.errors import BadInput
from ganbench.executors import Compiled
from ganbench.machine import gpus
from ganbench.machine.gpus import Card, Gpu
from ganbench.planning import choice, cost
from ganbench.planning.choice import Settings, choose
from ganbench.planning.cost import Cost, measure, sizes

CPU = Settings("cpu", "auto", 1)
CARD = Card("NVIDIA H200", 140 * 10**9, (9, 0))
SMALL = Cost(operations=200, flops=200_000, written=200_000, state=20_000, convolutional=False)
"""Much as an MLP GAN of two layers of 32, batch 64."""


@pytest.fixture
def compiler(monkeypatch):
    """As if there were a compiler, whatever this machine has."""
    monkeypatch.setattr(Compiled, "available", lambda self, device: None)


# ---- cutting


@given(st.integers(1, 10_000), st.integers(-5, 300), st.integers(1, 64))
def test_sizes_cut_runs_evenly(runs, cap, pieces):
    cut = sizes(runs, cap, pieces)
    assert sum(cut) == runs
    assert max(cut) <= max(1, cap)
    assert min(cut) >= 1
    assert max(cut) - min(cut) <= 1
    assert cut == sorted(cut, reverse=True)
    assert len(cut) >= min(pieces, runs)
    assert len(cut) == min(runs, max(-(-runs // max(1, cap)), pieces)), "no more pieces than need be"


@given(
    st.integers(1, 500),
    st.integers(1, 200_000),
    st.integers(1, 8),
    st.sampled_from(["auto", "loop", "eager"]),
)
def test_a_choice_covers_all_runs(catalogue_of_toys, runs, steps, pieces, name):
    choice = choose(SMALL, runs, steps, pieces, Settings("cpu", name, 1), catalogue_of_toys)
    assert sum(choice.sizes) == runs
    assert choice.seconds > 0
    assert choice.memory >= SMALL.memory(max(choice.sizes)) > 0
    if name != "auto":
        assert choice.executor == "eager"


@pytest.fixture(scope="module")
def catalogue_of_toys(toys):
    return toys


# ---- choosing


def test_one_short_run_is_looped(toys, compiler):
    assert choose(SMALL, 1, 100, 1, CPU, toys).mapper == "loop"


def test_many_long_small_runs_are_compiled(toys, compiler):
    choice = choose(SMALL, 64, 50_000, 1, CPU, toys)
    assert (choice.mapper, choice.executor) == ("map", "compiled")
    assert choice.seconds < 64 * SMALL.looped(50_000) / 3


def test_without_a_compiler_everything_is_looped(toys, monkeypatch):
    monkeypatch.setattr(Compiled, "available", lambda self, device: "no compiler")
    assert choose(SMALL, 64, 50_000, 1, CPU, toys).mapper == "loop"


def test_convolutions_are_looped(toys, compiler):
    convolutional = dataclasses.replace(SMALL, convolutional=True)
    assert choose(convolutional, 64, 50_000, 1, CPU, toys).mapper == "loop"


def test_what_could_not_be_measured_is_looped_run_by_run(toys, compiler):
    choice = choose(None, 3, 50_000, 2, CPU, toys)
    assert (choice.mapper, choice.executor, choice.sizes) == ("loop", "eager", (1, 1, 1))


def test_the_choice_is_the_quicker_prediction(toys, compiler):
    """Where the loop ends and the map begins, both are predicted to take as long."""
    steps = next(n for n in range(100, 10**6, 100) if choose(SMALL, 8, n, 1, CPU, toys).mapper == "map")
    cut = choose(SMALL, 8, steps, 1, CPU, toys).sizes
    assert sum(SMALL.mapped(steps, size) for size in cut) <= 8 * SMALL.looped(steps)
    before = choose(SMALL, 8, steps - 100, 1, CPU, toys)
    assert before.mapper == "loop"
    assert sum(SMALL.mapped(steps - 100, size) for size in cut) >= before.seconds


@pytest.mark.parametrize("runs", [1, 5, 64, 500])
def test_mapped_stacks_stay_in_the_cache_and_looped_ones_keep_workers_busy(toys, compiler, runs):
    wide = dataclasses.replace(SMALL, written=6_000_000)
    mapped = choose(wide, runs, 10**6, 4, Settings("cpu", "compiled", 4), toys)
    assert max(mapped.sizes) * wide.written <= cost.CACHE
    looped = choose(wide, runs, 10**6, 4, Settings("cpu", "loop", 4), toys)
    assert len(looped.sizes) >= min(runs, 4)


def test_stacks_fit_into_the_memory_that_there_is(toys, monkeypatch):
    """All workers at once, and never less than one run."""
    state = 10_000_000
    large = Cost(operations=200, flops=200_000, written=0, state=state, convolutional=False)
    monkeypatch.setattr(
        choice.psutil, "virtual_memory", lambda: SimpleNamespace(total=20 * state, available=1)
    )
    for workers, most in ((1, 4), (2, 2), (50, 1)):
        chosen = choose(large, 30, 100, 1, Settings("cpu", "eager", workers), toys)
        assert max(chosen.sizes) <= most
        assert max(chosen.sizes) * large.memory(1) * workers <= 0.6 * 20 * state or most == 1


# ---- on GPUs


def on_gpus(*memory):
    cards = tuple(Gpu(n, "GPU", each, (9, 0), str(n)) for n, each in enumerate(memory))
    return Settings("cuda", "auto", len(cards), cards)


def test_a_gpu_takes_the_first_executor_that_is_available(toys, monkeypatch, compiler):
    settings = on_gpus(10**10)
    best = choose(SMALL, 8, 1000, 1, settings, toys)
    assert (best.mapper, best.executor, best.why) == ("map", "cuda-graph", "")
    assert "why" not in best.record(settings, 8)
    monkeypatch.setattr(Compiled, "available", lambda self, device: "no Triton")
    second = choose(SMALL, 8, 1000, 1, settings, toys)
    assert second.executor == "cuda-graph-uncompiled"
    assert second.record(settings, 8)["why"] == "cuda-graph cannot be used: no Triton"


def test_runs_are_cut_for_all_gpus(toys, compiler):
    assert choose(SMALL, 9, 1000, 4, on_gpus(*[10**10] * 4), toys).sizes == (3, 2, 2, 2)


def test_stacks_and_tables_fit_on_the_smallest_gpu(toys, compiler):
    """Each GPU has its own memory, whatever the number of workers; draws count."""
    run = Cost(200, 200_000, written=10**6, state=10**6, convolutional=False, chunk=2 * 10**6)
    gpu, tables = 10**9, 5 * 10**8
    alone = choose(run, 1000, 1000, 1, on_gpus(gpu), toys)
    assert choose(run, 1000, 1000, 1, on_gpus(10 * gpu, gpu, 5 * gpu), toys).sizes == alone.sizes
    assert run.run_memory == 10**6 + cost.STATES * 10**6 + cost.CHUNKS * 2 * 10**6
    assert 0.5 * gpu < alone.memory <= 0.6 * gpu
    beside = choose(dataclasses.replace(run, tables=tables), 1000, 1000, 1, on_gpus(gpu), toys)
    assert max(beside.sizes) < max(alone.sizes)
    assert 0.8 * gpu < beside.memory <= 0.9 * gpu
    full = choose(dataclasses.replace(run, tables=gpu), 3, 1000, 1, on_gpus(gpu), toys)
    assert full.sizes == (1, 1, 1)


# ---- settings


def test_settings_fill_in_what_is_not_said(toys, monkeypatch):
    monkeypatch.setattr(gpus, "_cards", lambda: ())
    assert choice.settings(None, "auto", None, toys) == Settings("cpu", "auto", choice.cores())
    assert choice.settings("cpu", "loop", 3, toys) == Settings("cpu", "loop", 3)
    monkeypatch.setattr(gpus, "_cards", lambda: (CARD, CARD))
    assert choice.settings("cpu", "auto", 3, toys) == Settings("cpu", "auto", 3)
    assert choice.settings(None, "auto", None, toys) == Settings("cuda", "auto", 2, gpus.gpus())
    assert choice.settings("cuda:1", "auto", 1, toys) == Settings("cuda", "auto", 1, gpus.gpus()[1:])
    with pytest.raises(BadInput, match="runs on a CPU only"):
        choice.settings(None, "loop", None, toys)
    with pytest.raises(BadInput, match="did you mean 'compiled'"):
        choice.settings(None, "compild", None, toys)


def test_an_engine_that_cannot_be_used_is_refused(toys, monkeypatch):
    with pytest.raises(BadInput, match="engine 'cuda-graph' cannot be used: CUDA graphs need a CUDA device"):
        choice.settings("cpu", "cuda-graph", None, toys)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(BadInput, match=r"engine 'compiled' cannot be used: there is no C\+\+ compiler"):
        choice.settings("cpu", "compiled", None, toys)
    monkeypatch.setattr(gpus, "_cards", lambda: (CARD,))
    with pytest.raises(BadInput, match=r"engine 'cuda-graph' cannot be used: Triton needs a C compiler"):
        choice.settings("cuda", "cuda-graph", None, toys)
    assert choice.settings("cuda", "cuda-graph-uncompiled", None, toys).engine == "cuda-graph-uncompiled"


# ---- measuring


def measured(catalogue, data, **how):
    return measure(Program(variant(**how), catalogue, data), {}, data)


def test_a_step_is_counted_the_same_every_time(toys, blob):
    assert measured(toys, blob) == measured(toys, blob)


def test_more_work_is_counted_as_more(toys, blob):
    one = measured(toys, blob)
    wide = measured(toys, blob, options={"toy-gan": {"width": 64}})
    batch = measured(toys, blob, batch=32)
    penalised = measured(toys, blob, techniques=("toy-penalty",))
    assert batch.operations == one.operations < penalised.operations
    assert wide.flops > one.flops
    assert batch.flops == 4 * one.flops
    assert wide.state > one.state == batch.state
    assert wide.written > one.written
    assert one.looped(2000) == pytest.approx(20 * one.looped(100))
    assert one.memory(8) == 8 * one.memory(1)
    assert not one.convolutional


@pytest.mark.parametrize(
    "how", [{}, {"options": {"toy-gan": {"norm": True}}, "techniques": ("toy-penalty",)}]
)
def test_a_heavy_step_is_counted_the_same_without_taking_it(toys, blob, how):
    light = measured(toys, blob, **how)
    computed = mock.patch.object(cost, "HEAVY", 0)
    with (
        computed,
        mock.patch.object(torch.Tensor, "item", side_effect=AssertionError("it looked at a number")),
    ):
        assert measured(toys, blob, **how) == light


def test_a_heavy_step_that_looks_at_numbers_is_taken(toys, blob, monkeypatch):
    light = measured(toys, blob)
    monkeypatch.setattr(cost, "HEAVY", 0)
    loss = toys.get("loss", "toy-loss").cls
    plain = loss.generator

    def peeking(self, out):
        assert float(out["fake_logits"].sum()) == float(out["fake_logits"].sum())
        return plain(self, out)

    monkeypatch.setattr(loss, "generator", peeking)
    assert measured(toys, blob).flops == light.flops


def test_counting_takes_no_training_step(toys, blob):
    """Two plans and a run in between: rows are those of a run alone."""
    generator = torch.get_rng_state()
    measured(toys, blob)
    assert torch.equal(torch.get_rng_state(), generator)


def test_flops_are_those_of_the_matrix_products(toys, blob):
    """D's step: G forward, D forward twice, D backward (no gradient of its inputs): G's: one of each."""
    width, batch = 16, 8
    found = measured(toys, blob, options={"toy-gan": {"width": width}}, batch=batch)
    forward = 2 * batch * (2 * width + width * 1), 2 * batch * (2 * width + width * 2)  # of D, of G
    assert sum(forward) * 2 < found.flops < sum(forward) * 8


@needs_builtins
def test_convolutions_are_seen(builtins):
    images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    from ganbench.components.data import Data

    data = Data(train=images, test=images)
    options = {"dcgan": {"width": 4}}
    config = variant("dcgan", "hinge", options=options, batch=4, precision="float32")
    found = measure(Program(config, builtins, data), {}, data)
    assert found.convolutional
    assert choose(found, 16, 100_000, 1, CPU, builtins).mapper == "loop"


# ---- through the command line


def test_the_same_suite_is_planned_the_same_way(tmp_path):
    args = ("plan", TOY, "--seeds", 20, "--steps", 50_000, "--workers", 1, "--out", tmp_path, "--json")
    first, second = (ganbench_here(*args).json() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_a_plan_of_many_long_runs_compiles_and_of_few_short_ones_does_not(tmp_path, compiler):
    def mappers(*how):
        made = ganbench_here("plan", TOY, "--workers", 1, "--out", tmp_path, "--json", *how).json()
        return {(stack["engine"]["mapper"], stack["engine"]["executor"]) for stack in made["stacks"]}

    assert mappers("--seeds", 1, "--steps", 100) == {("loop", "eager")}
    assert mappers("--seeds", 64, "--steps", 50_000) == {("map", "compiled")}
