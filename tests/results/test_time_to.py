"""Time to threshold, against curves whose answer is plain; failed runs are censored at the full budget."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import CensoredData, ecdf
from test_results import add_stack, demo, edit_lock, run_row, variant_config

from ganbench.errors import BadInput
from ganbench.results import load
from ganbench.results.summary import TIME_COLUMNS, times_to
from ganbench.stats import first_reached


@pytest.mark.parametrize(
    ("values", "threshold", "direction", "step"),
    [
        ([9, 5, 3, 4, 2], 3, "lower", 30),
        ([9, 5, 3, 4, 2], 2.9, "lower", 50),
        ([9, 5, 3, 4, 2], 1, "lower", None),
        ([9, 5, 3, 4, 2], 9, "lower", 10),
        ([1, 4, 8, 2], 4, "higher", 20),
        ([1, 4, math.inf, 2], 9, "higher", 30),
        ([math.nan, 4, 2, 1], 2, "lower", 30),
        ([], 2, "lower", None),
    ],
)
def test_the_first_evaluation_that_is_good_enough(values, threshold, direction, step):
    steps = np.arange(1, len(values) + 1) * 10
    assert first_reached(steps, np.array(values, dtype=float), threshold, direction) == step


def test_runs_that_fail_later_are_censored_at_the_full_budget(tmp_path):
    values = [{"fid": [9.0, 3.0, 1.0]}, {"fid": [2.0, 9.0, 9.0]}, {"fid": [9.0, 8.0, 7.0]}]
    config = variant_config("ring", "hinge", ["fid"])
    folder = add_stack(tmp_path, "v", config, values, outcomes=["finished", "diverged", "finished"])
    rows = [
        {"steps": 150, "seconds": 30.0},
        {"steps": 110, "seconds": 30.0, "outcome": "diverged"},
        {"steps": 150, "seconds": 30.0},
    ]
    folder.write_runs([run_row(f"v:{i}", "v", i, stack="v", budget=150) | row for i, row in enumerate(rows)])
    found = load(tmp_path).time_to("fid", 3.0)
    assert list(found.columns) == list(TIME_COLUMNS)
    assert found["reached"].tolist() == [True, False, False]
    assert found["step"].tolist() == [100, 150, 150]
    assert found["seconds"].tolist() == pytest.approx([20.0, 30.0, 30.0])
    # one event among three, by step 100
    curve = ecdf(CensoredData.right_censored(found["step"].to_numpy(dtype=float), ~found["reached"])).cdf
    assert curve.evaluate(120) == pytest.approx(1 / 3)


def test_a_stack_of_which_every_run_died_is_charged_at_its_own_pace():
    runs = pd.DataFrame(
        {
            "key": ["a", "b", "c"],
            "variant": "v",
            "seed": [0, 1, 2],
            "outcome": ["diverged", "diverged", "crashed"],
            "steps": [10, 40, 7],
            "budget": [100, 100, 100],
            "seconds": [8.0, 8.0, 0.0],
            "stack": ["s", "s", "t"],
        }
    )
    evals = pd.DataFrame({"key": ["a", "b"], "step": 0, "metric": "fid", "value": 0.0})
    found = times_to(runs, evals, "fid", 1.0, "lower")
    assert found["reached"].tolist() == [False] * 3
    assert found["step"].tolist() == [100] * 3
    assert found["seconds"].tolist()[:2] == pytest.approx([20.0, 20.0])
    assert math.isnan(found["seconds"][2])  # nobody knows how fast it was


def test_the_direction_is_the_metrics_own_and_variants_without_it_are_censored(tmp_path):
    results = load(demo(tmp_path))
    found = results.time_to("modes", 7).set_index(["variant", "seed"])
    assert found.loc["ring/a", "reached"].tolist() == [True, True, False, False, False]  # the last collapsed
    assert found.loc["ring/a", "step"].tolist() == [100] * 5
    assert not found.loc["digits/b", "reached"].any()
    edit_lock(tmp_path, directions={"modes": "lower"})
    assert load(tmp_path).time_to("modes", 7)["reached"].sum() > 2


def test_the_averaged_weights_count_where_there_are_some(tmp_path):
    folder = add_stack(tmp_path, "v", variant_config("ring", "hinge", ["fid"]), [{"fid": [9.0, 1.0]}])
    evals = folder.evals()
    folder.write_evals(pd.concat([evals, evals.assign(weights="ema", value=[2.0, 1.0])]))
    assert load(tmp_path).time_to("fid", 3.0)["step"].tolist() == [50]


def test_a_metric_that_nobody_took_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match=r"no run measured 'mode'; did you mean 'modes'\?"):
        load(demo(tmp_path)).time_to("mode", 7)
