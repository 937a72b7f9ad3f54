"""Sessions: equal rows however the work is shared, provenance, run keys, and stacks that do not fit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_cli import TESTS, TOY, assert_same_rows, files_below, ganbench_here, rows

import ganbench

pytestmark = pytest.mark.usefixtures("without_page")

DOUBLE = ("--set", 'defaults.precision="float64"')
ONE = ("--set", 'matrix.loss=["toy-loss"]', "--set", 'matrix.techniques=[["toy-penalty"]]')


def run(out, *args, suite=TOY):
    done = ganbench_here("run", suite, "--out", out, *args)
    assert done.code == 0, done.err
    return done


def configs(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(Path(out).glob("stacks/*/config.json"))]


def keys(out: Path, *args, suite=TOY) -> list[str]:
    """Run keys of what is trained with these options."""
    run(out, "--engine", "loop", "--steps", 2, *args, suite=suite)
    return list(ganbench.load(out).runs.sort_values(["variant", "seed"])["key"])


def in_stacks_of_the_lock(out: Path) -> list[str]:
    """Run keys."""
    lock = json.loads((out / "suite.lock.json").read_text())
    return sorted(key for stack in lock["stacks"] for key in stack["keys"])


def test_the_lock_keeps_the_stacks_of_earlier_calls(tmp_path):
    once = keys(tmp_path, "--seeds", 1)
    before = (tmp_path / "suite.lock.json").read_bytes()
    assert in_stacks_of_the_lock(tmp_path) == sorted(once)
    keys(tmp_path, "--seeds", 1)
    assert (tmp_path / "suite.lock.json").read_bytes() == before, "nothing was trained"
    twice = keys(tmp_path, "--seeds", 2)
    assert in_stacks_of_the_lock(tmp_path) == sorted(twice)
    keys(tmp_path, "--seeds", 2, "--steps", 1)
    assert set(twice).isdisjoint(in_stacks_of_the_lock(tmp_path)), "of another suite"


# ---- together or one by one

PLACE = ["stack", "stack_size", "executor", "mapper"]


def one_run_each(out, engine, seeds):
    """The runs of these seeds in commands of which each trains one."""
    for count in range(1, len(seeds) + 1):
        run(out, "--engine", engine, "--set", f"defaults.seeds={list(seeds[:count])}", *DOUBLE, *ONE)
    assert [len(config["seeds"]) for config in configs(out)] == [1] * len(seeds)
    return rows(out)


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory):
    return one_run_each(tmp_path_factory.mktemp("one-by-one"), "loop", range(16))


def assert_close(one, other, rtol=1e-9):
    """Equal outcomes, onsets and steps; equal numbers but for rounding. Traces are kept in float32."""
    for name, frame in one.items():
        left, right = (f.drop(columns=PLACE, errors="ignore") for f in (frame, other[name]))
        assert len(left)
        for column in left:
            if left[column].dtype == np.float64:
                np.testing.assert_allclose(left[column], right[column], rtol=rtol, atol=0, err_msg=column)
            elif left[column].dtype == np.float32:
                np.testing.assert_allclose(left[column], right[column], rtol=3e-7, atol=1e-12, err_msg=column)
            else:
                pd.testing.assert_series_equal(left[column], right[column])


@pytest.mark.slow
@pytest.mark.xdist_group("sixteen seeds")
def test_sixteen_seeds_at_once_are_the_same_sixteen_one_by_one(one_by_one, tmp_path):
    run(tmp_path, "--engine", "loop", "--seeds", 16, "--workers", 1, *DOUBLE, *ONE)
    assert [len(config["seeds"]) for config in configs(tmp_path)] == [16]
    assert_same_rows(one_by_one, rows(tmp_path), ignoring=PLACE)


@pytest.mark.slow
@pytest.mark.xdist_group("sixteen seeds")
def test_sixteen_seeds_mapped_are_the_same_sixteen_one_by_one(one_by_one, tmp_path):
    run(tmp_path, "--engine", "eager", "--seeds", 16, *DOUBLE, *ONE)
    assert [(c["engine"]["mapper"], len(c["seeds"])) for c in configs(tmp_path)] == [("map", 16)]
    assert_close(one_by_one, rows(tmp_path))


def of_seeds(found, seeds):
    return {name: f[f["seed"].isin(seeds)].reset_index(drop=True) for name, f in found.items()}


def assert_mapped_alone_as_together(tmp_path, seeds):
    run(tmp_path / "all", "--engine", "eager", "--seeds", 16, *DOUBLE, *ONE)
    alone = one_run_each(tmp_path / "alone", "eager", seeds)
    assert set(alone["runs"]["mapper"]) == {"map"}
    assert len(alone["runs"]) == len(seeds)
    assert_close(of_seeds(rows(tmp_path / "all"), seeds), alone)


@pytest.mark.slow
def test_seeds_mapped_among_sixteen_are_the_same_mapped_alone(tmp_path):
    assert_mapped_alone_as_together(tmp_path, [15, 0, 7])


@pytest.mark.slow
def test_sixteen_seeds_mapped_are_the_same_sixteen_mapped_alone(tmp_path):
    assert_mapped_alone_as_together(tmp_path, range(16))


@pytest.mark.slow
@pytest.mark.xdist_group("sixteen seeds")
def test_sixteen_seeds_compiled_are_the_same_sixteen_one_by_one(one_by_one, tmp_path):
    run(tmp_path, "--engine", "compiled", "--seeds", 16, *DOUBLE, *ONE)
    assert {config["engine"]["executor"] for config in configs(tmp_path)} == {"compiled"}
    assert_close(one_by_one, rows(tmp_path))


@pytest.mark.slow
def test_swept_values_in_one_stack_are_the_same_as_one_by_one(tmp_path):
    sweep = ("--set", "options.toy-penalty.weight={ sweep = [0.1, 1.0, 3.0] }", *DOUBLE, *ONE, "--seeds", 2)
    run(tmp_path / "mapped", "--engine", "eager", *sweep)
    run(tmp_path / "looped", "--engine", "loop", *sweep)
    [config] = configs(tmp_path / "mapped")
    assert [v["toy-penalty.weight"] for v in config["values"]] == [0.1, 0.1, 1.0, 1.0, 3.0, 3.0]
    mapped = rows(tmp_path / "mapped")
    assert mapped["runs"].groupby("variant")["toy-penalty.weight"].first().to_list() == [0.1, 1.0, 3.0]
    assert_close(rows(tmp_path / "looped"), mapped)
    for weight in (0.1, 1.0, 3.0):
        run(
            tmp_path / str(weight),
            "--engine",
            "loop",
            *sweep[2:],
            "--set",
            f"options.toy-penalty.weight={weight}",
        )
        alone, key = rows(tmp_path / str(weight)), f"final_{'toy-mean'}"
        among = mapped["runs"][mapped["runs"]["toy-penalty.weight"] == weight]
        np.testing.assert_allclose(sorted(alone["runs"][key]), sorted(among[key]), rtol=1e-9)
        assert set(alone["runs"]["key"]) == set(among["key"]), "a swept run is the run of that value"


def test_a_diverged_run_leaves_its_neighbours_alone(tmp_path):
    """`toy-bomb` gives infinity once a logit passes the fuse: some seeds do, at this one."""
    bomb = ("--set", 'matrix.loss=["toy-bomb"]', "--set", "matrix.techniques=[[]]", *DOUBLE, "--seeds", 6)
    for engine in ("loop", "eager"):
        run(tmp_path / engine, "--engine", engine, *bomb, "--set", "options.toy-bomb.fuse=1.0")
    run(tmp_path / "calm", "--engine", "loop", *bomb)
    loop, mapped, calm = (rows(tmp_path / name) for name in ("loop", "eager", "calm"))
    assert 0 < (loop["runs"]["outcome"] == "diverged").sum() < 6
    assert_close(loop, mapped)
    alive = loop["runs"].loc[loop["runs"]["outcome"] == "finished", "seed"]
    columns = ["seed", "step", "player", "loss", "grad_norm"]
    for name, by in (("traces", columns), ("evaluations", ["seed", "step", "value"])):
        one, other = (
            frame[frame["seed"].isin(alive)][by].sort_values(by[:3], ignore_index=True)
            for frame in (loop[name], calm[name])
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    dead = loop["runs"][loop["runs"]["outcome"] == "diverged"]
    for row in dead.itertuples():
        own = loop["traces"][loop["traces"]["key"] == row.key]
        assert row.steps == row.onset_step == own["step"].max()
        assert (loop["evaluations"].loc[loop["evaluations"]["key"] == row.key, "step"] < row.onset_step).all()


# ---- what cannot be mapped, and what does not fit

EXECUTOR = '''
from dataclasses import dataclass
import torch
import ganbench

@dataclass(frozen=True)
class Narrow(ganbench.Executor):
    """Has memory for two runs."""
    name = "narrow"

    def prepare(self, step, written, read):
        def fits():
            if len(written[0]) > {room}:
                raise {error}

        def fast():
            fits()
            step(*written, *read)

        if {early}:
            fits()
        return fast

@ganbench.hookimpl
def ganbench_executors():
    return [Narrow]
'''


@pytest.mark.parametrize(
    ("error", "early"),
    [
        ("torch.OutOfMemoryError('CUDA out of memory')", False),
        ("torch.OutOfMemoryError('CUDA out of memory')", True),
        ("MemoryError()", False),
    ],
)
def test_a_stack_that_does_not_fit_is_halved_until_it_does(tmp_path, error, early):
    plugin = tmp_path / "narrow.py"
    plugin.write_text(EXECUTOR.format(room=2, error=error, early=early))
    args = (*ONE, *DOUBLE, "--seeds", 7)
    done = run(tmp_path / "narrow", "--engine", "narrow", "--plugin", plugin, *args)
    assert done.err.count("split ") == 3
    assert "out of memory, going on with half the runs at once" in done.err
    found = rows(tmp_path / "narrow")
    assert sorted(found["runs"].groupby("stack")["stack_size"].first()) == [1, 2, 2, 2]
    assert (
        found["runs"].groupby("stack")["stack_size"].transform("size") == found["runs"]["stack_size"]
    ).all()
    run(tmp_path / "wide", "--engine", "loop", *args)
    assert_close(rows(tmp_path / "wide"), found)
    again = run(tmp_path / "narrow", "--engine", "narrow", "--plugin", plugin, *args)
    assert "7 runs, 7 of them already trained" in again.err


def test_a_single_run_that_does_not_fit_has_crashed(tmp_path):
    plugin = tmp_path / "narrow.py"
    plugin.write_text(EXECUTOR.format(room=0, error="MemoryError('no more')", early=False))
    done = ganbench_here(
        "run", TOY, *ONE, "--out", tmp_path / "out", "--engine", "narrow", "--plugin", plugin
    )
    assert done.code == 1
    runs = ganbench.load(tmp_path / "out").runs
    assert set(runs["outcome"]) == {"crashed"}
    [reason] = set(runs["reason"])
    takes = r"a single run takes for the data [\d.]+ \w+, draws [\d.]+ kB and its state [\d.]+ \w+, and more"
    assert re.match(rf"out of memory: no more; of [\d.]+ GB, {takes}", reason), reason


def test_torchs_own_allocator_on_a_cpu_counts_as_out_of_memory(tmp_path):
    plugin = tmp_path / "narrow.py"
    plugin.write_text(EXECUTOR.format(room=2, error="torch.empty(1 << 60)", early=False))
    done = ganbench_here("run", TOY, *ONE, "--seeds", 3, "--out", tmp_path / "out", "--engine", "narrow",
                         "--plugin", plugin)  # fmt: skip
    assert done.code == 0, done.out
    assert "split " in done.err


def test_an_executor_that_breaks_is_replaced_by_the_loop(tmp_path):
    plugin = tmp_path / "narrow.py"
    plugin.write_text(EXECUTOR.format(room=0, error="RuntimeError('no graph')", early=True))
    run(tmp_path / "out", *ONE, *DOUBLE, "--engine", "narrow", "--plugin", plugin)
    [config] = configs(tmp_path / "out")
    assert (config["engine"]["mapper"], config["engine"]["executor"]) == ("loop", "eager")
    assert config["engine"]["why"] == "the executor narrow failed: no graph"
    assert config["engine"]["planned"] == "narrow"
    run(tmp_path / "loop", *ONE, *DOUBLE, "--engine", "loop")
    found, looped = rows(tmp_path / "out"), rows(tmp_path / "loop")
    assert set(found["runs"]["mapper"]) == {"loop"}
    ways = ["planned_executor", "executor_reason"]
    assert_same_rows(looped, found, ignoring=["stack", "stack_size", *ways])
    [way] = {tuple(row) for row in found["runs"][["executor", *ways]].to_numpy()}
    assert way == ("loop", "narrow", "the executor narrow failed: no graph")
    assert set(looped["runs"][ways].to_numpy().flatten()) == {""}


def test_what_is_not_trained_as_planned_is_told_once_a_reason(tmp_path):
    plugin = tmp_path / "narrow.py"
    plugin.write_text(EXECUTOR.format(room=0, error="RuntimeError('no graph')", early=True))
    two = ("--set", 'matrix.loss=["toy-loss"]', "--engine", "narrow", "--plugin", plugin)
    done = ganbench_here("run", TOY, *two, "--out", tmp_path / "out", columns=160)
    assert done.code == 0, done.err
    assert len(configs(tmp_path / "out")) == 2
    sentence = "trained by loop, not by narrow as planned: the executor narrow failed: no graph"
    assert done.err.count(f"warning: a stack is {sentence}\n") == 1
    told = " ".join(done.out.split())
    assert f"4 runs (plain and toy-penalty) were {sentence}" in told
    text = (tmp_path / "out" / "report.md").read_text("utf-8").replace("\\", "")
    assert f"were {sentence}" in text


def test_tf32_on_a_cpu_is_said_to_have_no_effect(tmp_path):
    done = ganbench_here("run", TOY, *ONE, "--set", "defaults.tf32=true", "--out", tmp_path)
    assert "warning: tf32 = true has no effect on a CPU" in done.err
    assert all(one["tf32"] for config in configs(tmp_path) for one in config["variants"])
    env = json.loads(next(tmp_path.glob("stacks/*/env.json")).read_text())
    assert env["gpu_settings"] is None


# ---- provenance


def test_a_stacks_folder_tells_how_it_was_trained(tmp_path):
    run(tmp_path, "--engine", "eager", *ONE, *DOUBLE)
    [folder] = (tmp_path / "stacks").iterdir()
    config, env, status = (
        json.loads((folder / f"{n}.json").read_text()) for n in ("config", "env", "status")
    )
    assert re.fullmatch(r"toy-blob-toy-gan-toy-loss-toy-penalty-[0-9a-f]{12}", folder.name)
    assert config["seeds"] == [0, 1]
    assert config["labels"] == ["toy-blob/toy-gan/toy-loss/toy-penalty"] * 2
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in config["keys"])
    assert len(set(config["keys"])) == 2
    assert config["variants"][0] == config["variants"][1]
    assert config["variants"][0]["model"] == {"name": "toy-gan", "options": {
        "width": 4, "norm": False, "together": False, "discriminator_turns": 1,
    }}  # fmt: skip
    pinned = {"mapper": "map", "executor": "eager", "device": "cpu", "size": 2, "threads": 1}
    assert config["engine"] == pinned
    assert config["versions"].keys() == {
        "dataset toy-blob", "loss toy-loss", "metric toy-mean", "model toy-gan", "technique toy-penalty",
    }  # fmt: skip
    assert env["ganbench"] == ganbench.__version__
    assert env["packages"].keys() >= {"torch", "numpy", "scipy"}
    assert (env["device"], env["gpu"], env["threads"]) == ("cpu", None, 1)
    assert env["python"] and env["platform"] and env["cores"] >= 1  # noqa: PT018
    assert status == {"state": "finished", "step": 70, "steps": 70}
    assert not (folder / "checkpoint.safetensors").exists()
    lock = json.loads((tmp_path / "suite.lock.json").read_text())
    assert lock["keys"] == config["keys"]
    assert lock["variants"][0]["config"] == config["variants"][0]
    assert (lock["suite"], lock["seeds"], lock["directions"]) == ("toy", [0, 1], {"toy-mean": "lower"})


def test_rows_tell_how_they_were_trained(tmp_path):
    run(tmp_path, "--engine", "loop", "--workers", 1, *ONE)
    for row in ganbench.load(tmp_path).runs.itertuples():
        assert (row.device, row.executor, row.mapper, row.stack_size) == ("cpu", "loop", "loop", 2)
        assert (row.planned_executor, row.executor_reason) == ("", "")
        assert (tmp_path / "stacks" / row.stack).is_dir()
        assert json.loads(row.versions) == configs(tmp_path)[0]["versions"]
        assert row.seconds > 0


def test_nothing_on_disk_names_a_temporary_file(tmp_path):
    run(tmp_path, "--engine", "loop")
    assert not [
        name for name in files_below(tmp_path) if name.endswith(".tmp") or ".lock" in Path(name).suffix
    ]


# ---- run keys


@pytest.fixture(scope="module")
def base_keys(tmp_path_factory):
    return keys(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize(
    "change",
    [
        "options.toy-gan.width=5",
        "options.toy-loss.sharpness=2.0",
        "options.toy-blob.size=49",
        "defaults.batch=9",
        'defaults.precision="float64"',
        'defaults.optimizer={ name = "adam", lr = 0.02 }',
        "defaults.evaluate={ every = 1, samples = 50, metrics = ['toy-mean'] }",
    ],
)
def test_a_run_that_is_another_has_another_key(base_keys, tmp_path, change):
    changed = keys(tmp_path, "--set", change)
    bomb = 4  # keys of toy-bomb come first, then those of toy-loss
    assert len(changed) == len(base_keys) == 8
    assert not set(changed[bomb:]) & set(base_keys)
    if "toy-loss" in change:
        assert changed[:bomb] == base_keys[:bomb]
    else:
        assert not set(changed) & set(base_keys)


def test_other_steps_and_seeds_are_other_runs(base_keys, tmp_path):
    done = ganbench_here("run", TOY, "--engine", "loop", "--steps", 3, "--out", tmp_path / "steps")
    assert done.code == 0
    assert not set(ganbench.load(tmp_path / "steps").runs["key"]) & set(base_keys)
    assert set(keys(tmp_path / "seeds", "--seeds", "1,2")) & set(base_keys) == set(base_keys[1::2])


@pytest.mark.parametrize(
    "how",
    [
        ("--engine", "eager"),
        ("--workers", 5),
        ("--set", "description='other words'"),
        ("--set", "name='another'"),
        ("--set", "matrix.loss=['toy-bomb', 'toy-loss']"),
        ("--set", "verdict.vanish_steps=7"),
    ],
)
def test_what_does_not_change_a_run_keeps_its_key(base_keys, tmp_path, how):
    assert keys(tmp_path, *how) == base_keys


def test_a_label_alone_changes_no_key_and_rows_follow_it(tmp_path):
    run(tmp_path, "--engine", "loop", *ONE)
    before, key = files_below(tmp_path / "stacks"), sorted(ganbench.load(tmp_path).runs["key"])
    swept = run(
        tmp_path, "--engine", "loop", *ONE, "--set", "options.toy-penalty.weight={ sweep = [0.5, 7.0] }"
    )
    assert "4 runs, 2 of them already trained" in swept.err
    assert files_below(tmp_path / "stacks").items() >= before.items()
    runs = ganbench.load(tmp_path).runs
    old = runs[runs["key"].isin(key)]
    assert len(old) == 2
    assert set(old["variant"]) == {"toy-blob/toy-gan/toy-loss/toy-penalty [toy-penalty.weight=0.5]"}


def test_other_thresholds_change_verdicts_without_training(tmp_path):
    run(tmp_path, "--engine", "loop", *ONE)
    assert set(ganbench.load(tmp_path).runs["outcome"]) == {"finished"}
    strict = ("--set", "verdict={ explode_ratio = 0.0, explode_steps = 1, history = 5, median_window = 40 }")
    done = run(tmp_path, "--engine", "loop", *ONE, *strict)
    assert "2 runs, 2 of them already trained" in done.err
    assert set(ganbench.load(tmp_path).runs["outcome"]) == {"exploded"}
    run(tmp_path, "--engine", "loop", *ONE)
    assert set(ganbench.load(tmp_path).runs["outcome"]) == {"finished"}


def own_copy(folder: Path) -> Path:
    """The toy suite with a plugin of its own beside it."""
    folder.mkdir(parents=True)
    shutil.copy(TESTS / "toys.py", folder / "toys.py")
    suite = folder / "toy.toml"
    suite.write_text(TOY.read_text().replace("../../toys.py", "toys.py"))
    return suite


def test_editing_a_components_source_makes_other_runs(tmp_path):
    suite = own_copy(tmp_path / "mine")
    before = keys(tmp_path / "out", suite=suite)
    assert keys(tmp_path / "out", suite=suite) == before
    with (tmp_path / "mine" / "toys.py").open("a") as file:
        file.write("\n# another thought\n")
    plan = ganbench_here("plan", suite, "--engine", "loop", "--steps", 2, "--out", tmp_path / "out", "--json")
    assert plan.json()["cached"] == 0
    assert not set(keys(tmp_path / "out", suite=suite)) & set(before)


def test_where_a_plugins_file_lies_makes_no_other_runs(tmp_path, monkeypatch):
    one, other = own_copy(tmp_path / "one"), own_copy(tmp_path / "other")
    monkeypatch.chdir(one.parent)
    first = keys(tmp_path / "out-one", suite=one)
    assert keys(tmp_path / "out-relative", suite="toy.toml") == first
    assert keys(tmp_path / "out-other", suite=other) == first


def test_editing_what_a_component_imports_makes_other_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    helper, plugin = tmp_path / "helper_of_a_plugin.py", tmp_path / "derived.py"
    helper.write_text((TESTS / "toys.py").read_text())
    plugin.write_text(
        "from dataclasses import dataclass\nimport ganbench\nfrom helper_of_a_plugin import ToyLoss\n\n"
        "@dataclass(frozen=True)\nclass Derived(ToyLoss):\n    '''Derived.'''\n    name = 'derived'\n\n"
        "@ganbench.hookimpl\ndef ganbench_losses():\n    return [Derived]\n"
    )
    how = ("--set", 'matrix.loss=["derived"]', "--plugin", plugin)
    before = keys(tmp_path / "out", *how)
    helper.write_text(helper.read_text().replace("F.softplus(-real)", "2 * F.softplus(-real)"))
    assert not set(keys(tmp_path / "out", *how)) & set(before)


PLACED = '''
from dataclasses import dataclass
from pathlib import Path
import torch
import ganbench

@dataclass(frozen=True)
class Placed(ganbench.Dataset):
    """Points in a file."""
    name = "placed"
    places = ("root",)
    root: str = ""

    def load(self, root):
        count = int((Path(self.root) / "count.txt").read_text())
        points = torch.linspace(-1, 1, 2 * count).reshape(count, 2)
        return ganbench.Data(train=points, test=points)

@ganbench.hookimpl
def ganbench_datasets():
    return [Placed]
'''


def test_where_data_lie_makes_no_other_runs_but_what_they_are_does(tmp_path):
    plugin = tmp_path / "placed.py"
    plugin.write_text(PLACED)
    found = []
    for place, count in (("here", 30), ("there", 30), ("elsewhere", 31)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "count.txt").write_text(str(count))
        how = ("--set", 'defaults.dataset="placed"', "--set", f'options.placed.root="{tmp_path / place}"')
        found.append(keys(tmp_path / f"out-{place}", *how, "--plugin", plugin))
    assert found[0] == found[1]
    assert not set(found[0]) & set(found[2])
