"""One stack of a suite on a pretended GPU meets a fault: it ends right or tells why, and the next one trains.

`test_on_gpu.py` runs these tests. Compiling changes nothing here, and captures work as `pretended_gpu.Graph`
does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pretended_gpu import Graph, pretended_gpu
from run_cli import TOY, Done, ganbench_here

import ganbench
from ganbench.executors import Compiled, Eager
from ganbench.running.worker import StackWorker
from ganbench.storage.stack_folder import StackFolder

FAULTY = "toy-penalty"
"""In the label of the variant whose stack meets the fault."""
ILLEGAL = "CUDA error: an illegal memory access was encountered"
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB"

MOMENTS = ["preparation", pytest.param("capture", marks=pytest.mark.slow), "step"]


class Fault:
    """What goes wrong in one stack of a suite, and when.

    Arguments:
        moment: "preparation", "capture" or "step": the fourth one.
        error: what is raised then.
        alone: whether a stack of one run meets it, too.
    """

    def __init__(self, moment: str, error: Callable[[], Exception], alone: bool = True) -> None:
        self.moment, self._error, self._alone = moment, error, alone
        self._replays = self.met = 0
        self._label, self._runs = "", 0

    def enter(self, folder: StackFolder) -> None:
        """A stack begins."""
        config = folder.config()
        self._label, self._runs, self._replays = config["label"], len(config["seeds"]), 0

    def at(self, moment: str) -> None:
        """Raise if the fault is due."""
        self._replays += moment == "step"
        due = moment == self.moment and (moment != "step" or self._replays == 4)
        if due and FAULTY in self._label and (self._alone or self._runs > 1):
            self.met += 1
            raise self._error()


@pytest.fixture
def suite(monkeypatch, tmp_path, without_page):
    """Trains the toy suite with a fault in it."""

    def before(owner: Any, name: str, act: Callable[..., None]) -> None:
        real = getattr(owner, name)

        def acting(*given: Any, **named: Any) -> Any:
            act(*given)
            return real(*given, **named)

        monkeypatch.setattr(owner, name, acting)

    def train(fault: Fault) -> Done:
        monkeypatch.setattr(Compiled, "prepare", Eager.prepare)
        before(StackWorker, "train", lambda _, path: fault.enter(StackFolder(path)))
        before(Compiled, "prepare", lambda *_: fault.at("preparation"))
        before(Graph, "replay", lambda *_: fault.at("step"))
        before(Graph, "capture", lambda *_: fault.at("capture"))
        with pretended_gpu():
            short = ("--set", "defaults.steps=6", "--set", "defaults.evaluate.every=3")
            one_loss = ("--set", 'matrix.loss=["toy-loss"]')
            done = ganbench_here("run", TOY, "--device", "cuda", *short, *one_loss, "--out", tmp_path)
        assert fault.met
        return done

    return train


def runs(out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs that met the fault, and the others, which all have finished."""
    every = ganbench.load(out).runs
    faulty = every["variant"].str.contains(FAULTY)
    assert set(every[~faulty]["outcome"]) == {"finished"}
    assert len(every[faulty]) == len(every[~faulty]) == 2
    return every[faulty], every[~faulty]


def ways(out: Path) -> dict[str, dict[str, Any]]:
    """Label -> how its stack was trained."""
    configs = [json.loads(path.read_text()) for path in sorted(out.glob("stacks/*/config.json"))]
    return {config["label"]: config["engine"] for config in configs}


@pytest.mark.parametrize(
    ("moment", "way", "why"),
    [
        ("preparation", "cuda-graph-uncompiled", "the executor cuda-graph failed: no compiler"),
        ("capture", "compiled", "the executor cuda-graph failed: no compiler"),
    ],
)
def test_the_next_way_is_taken(tmp_path, suite, moment, way, why):
    done = suite(Fault(moment, lambda: RuntimeError("no compiler")))
    assert done.code == 0, done.err
    faulty, _ = runs(tmp_path)
    assert set(faulty["outcome"]) == {"finished"}
    for label, engine in ways(tmp_path).items():
        assert engine["executor"] == (way if FAULTY in label else "cuda-graph")
        assert engine.get("why", "").startswith(why) == (FAULTY in label)


def test_a_cuda_error_in_a_step_crashes_its_stack_alone(tmp_path, suite):
    done = suite(Fault("step", lambda: torch.AcceleratorError(ILLEGAL)))
    assert done.code == 1
    faulty, _ = runs(tmp_path)
    assert set(faulty["outcome"]) == {"crashed"}
    assert faulty["reason"].str.contains(ILLEGAL).all()
    assert ILLEGAL in " ".join(done.out.split())


@pytest.mark.parametrize("moment", MOMENTS)
def test_runs_that_fit_one_by_one_finish(tmp_path, suite, moment):
    done = suite(Fault(moment, lambda: torch.OutOfMemoryError(FULL), alone=False))
    assert done.code == 0, done.out + done.err
    faulty, _ = runs(tmp_path)
    assert set(faulty["outcome"]) == {"finished"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_never_fits_tells_so(tmp_path, suite, moment):
    done = suite(Fault(moment, lambda: torch.OutOfMemoryError(FULL)))
    faulty, _ = runs(tmp_path)
    crashed = faulty[faulty["outcome"] != "finished"]
    # another way may need less memory; the one step that all of them take does not
    assert len(crashed) == (2 if moment == "step" else len(crashed))
    assert done.code == int(len(crashed) > 0)
    assert (crashed["outcome"] == "crashed").all()
    assert crashed["reason"].str.startswith(f"out of memory: {FULL}").all()


def test_memory_that_ran_out_is_known_however_it_is_wrapped(tmp_path, suite):
    def wrapped() -> Exception:
        error = RuntimeError("InductorError: backend failed")
        error.__cause__ = torch.OutOfMemoryError(FULL)
        return error

    assert suite(Fault("preparation", wrapped, alone=False)).code == 0
    faulty, _ = runs(tmp_path)
    assert set(faulty["outcome"]) == {"finished"}
