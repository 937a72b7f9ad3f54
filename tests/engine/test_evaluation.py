"""Evaluating disturbs nothing: whatever is measured, how often and in what order, training is the same."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from run_cli import RING, needs_builtins, rows
from run_cli import ganbench_here as ganbench

from ganbench.components.kinds import readable
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs
from ganbench.executors import Eager
from ganbench.suites.load import load_suite

EVERY = {
    "seldom": {"every": 120, "metrics": []},
    "often": {"every": 7, "metrics": ["modes", "energy-distance"]},
    "in another order": {"every": 60, "metrics": ["energy-distance", "fid", "modes"]},
    "in a chunk's middle": {"every": 64, "metrics": ["modes"]},
    "few samples": {"every": 30, "metrics": ["energy-distance"], "samples": 50},
}


def traces(folder, engine, every, metrics, samples=300):
    named = "[" + ", ".join(f'"{name}"' for name in metrics) + "]"
    options = {"steps": 120, "evaluate.every": every, "evaluate.metrics": named, "evaluate.samples": samples}
    sets = [text for key, value in options.items() for text in ("--set", f"defaults.{key}={value}")]
    done = ganbench("run", RING, *sets, "--engine", engine, "--out", folder, "--seeds", 2)
    assert done.code == 0, done.err
    return rows(folder)["traces"].drop(columns="key").sort_values(["variant", "seed", "player", "step"])


@pytest.mark.slow
@needs_builtins
@pytest.mark.parametrize("engine", ["loop", "eager"])
def test_training_is_the_same_whatever_is_evaluated(tmp_path, engine):
    frames = {
        name: traces(tmp_path / name.replace(" ", "-").replace("'", ""), engine, **how)
        for name, how in EVERY.items()
    }
    first = frames.pop("seldom").reset_index(drop=True)
    assert len(first) >= 2 * 120 * 2
    for frame in frames.values():
        pd.testing.assert_frame_equal(first, frame.reset_index(drop=True), check_exact=True)


@pytest.mark.slow
@needs_builtins
def test_threads_measure_what_one_measures(builtins):
    """Every metric that fits a ring, the game's dynamics among them."""
    data = builtins.get("dataset", "ring").cls().load(None)
    suite = load_suite(RING, builtins)
    config = suite.variants[0].config
    program, runs = Program(config, builtins, data), Runs((0, 1, 2, 3), ({},) * 4)
    fitting = [
        name
        for name, metric in builtins.of("metric").items()
        if metric.cls().fits(data) is None and set(metric.cls.reads) <= readable(program.model)
    ]
    settings = {
        **config["evaluate"],
        "samples": 200,
        "metrics": [{"name": name, "options": {}} for name in fitting],
    }
    state = Mapped(program, runs, data, torch.device("cpu"), Eager()).state()
    one, four = (
        Evaluator(settings, builtins, program, runs, data, threads).measure(state, 0, (0, 1, 3))
        for threads in (1, 4)
    )
    assert len({row["metric"] for row in one}) > 10
    pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(four), check_exact=True)
