"""Evaluating disturbs nothing: whatever is measured, how often and in what order, training is the same."""

from __future__ import annotations

import pandas as pd
import pytest
from run_cli import RING, needs_builtins, rows
from run_cli import ganbench_here as ganbench

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
