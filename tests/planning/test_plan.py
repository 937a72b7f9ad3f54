"""Plans: which runs share a stack, what is left to do, and what stacks are predicted to cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_cli import TOY, ganbench_here

from ganbench.errors import BadInput
from ganbench.planning.choice import Settings
from ganbench.planning.plan import make_plan
from ganbench.storage.stack_folder import StackFolder
from ganbench.suites.load import load_suite

LOOP = Settings("cpu", "loop", 1)


@pytest.fixture
def plan(toys, tmp_path):
    def plan(*overrides, settings=LOOP, root=tmp_path, **how):
        return make_plan(load_suite(TOY, toys, overrides=overrides, **how), toys, Path(root), settings)

    return plan


def labels(made):
    return [
        (stack.config["label"].rpartition("toy-gan/")[2], len(stack.config["seeds"])) for stack in made.stacks
    ]


def test_seeds_of_a_variant_share_a_stack(plan):
    made = plan()
    assert labels(made) == [
        ("toy-loss/plain", 2),
        ("toy-loss/toy-penalty", 2),
        ("toy-bomb/plain", 2),
        ("toy-bomb/toy-penalty", 2),
    ]
    assert (made.cached, made.resumed, made.failed) == (0, [], [])
    assert len({run.key for run in made.runs}) == 8


def test_swept_values_share_a_stack_and_structural_ones_do_not(plan):
    one = 'matrix.loss=["toy-loss"]', 'matrix.techniques=[["toy-penalty"]]'
    swept = plan(*one, "options.toy-penalty.weight={ sweep = [0.1, 1.0, 9.0] }", seeds=2)
    [stack] = swept.stacks
    assert stack.config["seeds"] == [0, 1] * 3
    assert stack.config["values"] == [{"toy-penalty.weight": w} for w in (0.1, 0.1, 1.0, 1.0, 9.0, 9.0)]
    assert stack.config["swept"] == stack.config["values"]
    rates = plan(*one, 'defaults.optimizer={ name = "sgd", lr = { sweep = [0.1, 0.2] } }')
    assert rates.stacks[0].config["values"][0] == {
        "optimizer.generator.lr": 0.1, "optimizer.discriminator.lr": 0.1,
    }  # fmt: skip
    widths = plan(*one, "options.toy-gan.width={ sweep = [3, 4] }")
    assert [len(stack.config["seeds"]) for stack in widths.stacks] == [2, 2]
    assert widths.stacks[0].config["values"] == [{}, {}]


def test_variants_that_differ_in_steps_or_metrics_are_apart(plan):
    made = plan('matrix={ loss = ["toy-loss"], include = [{ loss = "toy-loss", steps = 50 }] }')
    assert [stack.config["variants"][0]["steps"] for stack in made.stacks] == [70, 50]


def test_few_structures_are_cut_so_that_no_worker_is_idle(plan):
    one = ('matrix.loss=["toy-loss"]',)
    made = plan(*one, settings=Settings("cpu", "loop", 6), seeds=7)
    assert [size for _, size in labels(made)] == [3, 2, 2] * 2
    assert [seed for stack in made.stacks[:3] for seed in stack.config["seeds"]] == list(range(7))


def test_predicted_time_is_that_of_busy_workers(plan):
    alone, shared = plan(steps=5000), plan(steps=5000, settings=Settings("cpu", "loop", 2))
    total = sum(stack.seconds for stack in alone.stacks)
    assert alone.seconds == pytest.approx(total)
    assert total / 2 <= shared.seconds < total
    longest = max(stack.seconds for stack in shared.stacks)
    assert plan(steps=5000, settings=Settings("cpu", "loop", 999)).seconds >= longest / 2
    assert plan('matrix.loss=["toy-loss"]', seeds=4, steps=5000).seconds == pytest.approx(
        2 * plan('matrix.loss=["toy-loss"]', seeds=2, steps=5000).seconds
    )


def test_the_lock_tells_the_whole_suite(plan):
    made = plan()
    lock = json.loads(json.dumps(made.lock()))
    assert lock["keys"] == [run.key for run in made.runs]
    assert lock["directions"] == {"toy-mean": "lower"}
    assert [entry["label"] for entry in lock["variants"]] == [v.label for v in made.suite.variants]


def begin(root, stack, state, step=0):
    """A folder as a killed process leaves it."""
    folder = StackFolder.create(root, stack.config["label"], json.dumps(stack.config["keys"]))
    folder.write_config(stack.config)
    folder.write_status({"state": state, "step": step, "steps": 70})
    return folder


@pytest.mark.parametrize("state", ["training", None])
def test_stacks_that_were_begun_go_on(plan, tmp_path, state):
    folder = begin(tmp_path, plan().stacks[0], state)
    if state is None:
        (folder.path / "status.json").unlink()
    made = plan()
    assert [one.path for one in made.resumed] == [folder.path]
    assert len(made.stacks) == 3
    assert made.cached == 0


@pytest.mark.parametrize(
    ("how", "stacks"),
    [
        ({"seeds": [0]}, [1, 1, 1, 1]),  # one of its seeds is not wanted any more
        ({"seeds": 3}, [1, 2 + 1, 2 + 1, 2 + 1]),  # its seeds are wanted, and a third
    ],
)
def test_stacks_go_on_only_as_a_whole(plan, tmp_path, how, stacks):
    begin(tmp_path, plan().stacks[0], "training")
    made = plan(**how)
    assert [size for _, size in labels(made)] == stacks
    assert len(made.resumed) == (how["seeds"] == 3)


@pytest.mark.parametrize("spoil", ["device", "schema", "crashed", "split"])
def test_stacks_that_cannot_go_on_are_planned_again(plan, tmp_path, spoil):
    folder = begin(tmp_path, plan().stacks[0], spoil if spoil in ("crashed", "split") else "training")
    config = folder.config()
    if spoil == "device":
        folder.write_config({**config, "engine": {**config["engine"], "device": "cuda"}})
    if spoil == "schema":
        folder.write_config({**config, "schema": 0})
    made = plan()
    assert made.resumed == []
    assert len(made.stacks) == 4


def test_a_run_is_never_resumed_twice(plan, tmp_path):
    stack = plan().stacks[0]
    for name in ("a", "b"):
        folder = StackFolder.create(tmp_path, name, name)
        folder.write_config(stack.config)
    made = plan()
    assert len(made.resumed) == 1
    assert len(made.stacks) == 3


@pytest.mark.slow
def test_what_crashed_is_trained_again_and_what_failed_to_converge_is_not(plan, tmp_path):
    assert ganbench_here("run", TOY, "--engine", "loop", "--out", tmp_path).code == 0
    for folder in sorted((tmp_path / "stacks").iterdir())[:2]:
        rows = StackFolder(folder).runs()
        rows["outcome"] = ["crashed", "diverged"]
        StackFolder(folder).write_runs(rows)
    made = ganbench_here("plan", TOY, "--engine", "loop", "--out", tmp_path, "--json").json()
    assert made["cached"] == 6
    assert [stack["runs"] for stack in made["stacks"]] == [1, 1]


def test_folders_of_others_are_passed_over(plan, tmp_path):
    (tmp_path / "stacks" / "mine").mkdir(parents=True)
    (tmp_path / "stacks" / "notes.txt").write_text("mine")
    (tmp_path / "stacks" / "mine" / "config.json").write_text("{")
    assert len(plan().stacks) == 4


def test_metrics_that_do_not_fit_are_bad_input(plan, toys, monkeypatch):
    cls = toys.get("metric", "toy-mean").cls
    monkeypatch.setattr(cls, "fits", lambda self, data: "it needs three dimensions")
    with pytest.raises(BadInput, match="variant toy-blob/toy-gan/toy-loss/plain: it needs three dimensions"):
        plan()
