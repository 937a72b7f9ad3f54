"""The command line from end to end: what it prints, what it writes, and what it ends with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time

import pandas as pd
import pytest
from run_cli import (
    RING,
    SUITES,
    TESTS,
    TOY,
    assert_same_rows,
    command,
    environment,
    files_below,
    ganbench_here,
    ganbench_process,
    needs_builtins,
    rows,
)

import ganbench

pytestmark = pytest.mark.xdist_group("command line")  # one worker trains what most of them read

LABELS = [
    "toy-blob/toy-gan/toy-loss/plain",
    "toy-blob/toy-gan/toy-loss/toy-penalty",
    "toy-blob/toy-gan/toy-bomb/plain",
    "toy-blob/toy-gan/toy-bomb/toy-penalty",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The toys' results, trained by worker processes of a real command; they are only read."""
    where = tmp_path_factory.mktemp("trained")
    done = ganbench_process(
        "run", TOY, "--out", "results here", "--engine", "loop", "--workers", 2, cwd=where
    )
    assert done.code == 0, done.err
    return where / "results here", done


def run_toy(out, *args):
    done = ganbench_here("run", TOY, "--engine", "loop", "--out", out, *args)
    assert done.code == 0, done.err
    return done


def stacks(out):
    return {path.name for path in (out / "stacks").iterdir()}


# ---- the main job


def test_a_suite_ends_in_a_table_rows_and_a_report(trained):
    folder, done = trained
    for label in LABELS:
        assert label in done.out
    assert done.out.count("0 of 2") == 4
    assert f"rows    {folder.name}/stacks" in done.out
    assert f"report  {folder.name}/report.html" in done.out
    assert {"report.html", "report.md", "summary.csv", "runs.csv", "suite.lock.json", "stacks"} <= set(
        os.listdir(folder)
    )
    runs = ganbench.load(folder).runs
    assert list(zip(runs["variant"], runs["seed"], strict=True)) == [(v, s) for v in LABELS for s in (0, 1)]
    assert set(runs["outcome"]) == {"finished"}
    assert (runs["steps"] == 70).all()
    report = (folder / "report.md").read_text()
    assert all(label in report for label in LABELS)
    assert len(pd.read_csv(folder / "runs.csv")) == 8


def test_progress_goes_to_standard_error_in_plain_lines(trained):
    _, done = trained
    assert done.err.startswith("8 runs, 0 of them already trained\n")
    assert sum(line.startswith("started  toy-blob/toy-gan/") for line in done.err.splitlines()) == 4
    assert "2 finished (4 of 4 stacks)" in done.err
    assert "\x1b" not in done.out + done.err


@pytest.mark.slow
def test_two_workers_and_this_process_train_the_same_rows(trained, tmp_path):
    run_toy(tmp_path)
    assert_same_rows(rows(trained[0]), rows(tmp_path))


@pytest.mark.slow
def test_one_worker_and_two_train_the_same_rows(trained, tmp_path):
    args = ("run", TOY, "--out", "one", "--engine", "loop", "--workers", 1)
    assert ganbench_process(*args, cwd=tmp_path).code == 0
    assert_same_rows(rows(trained[0]), rows(tmp_path / "one"))


@pytest.mark.slow
@needs_builtins
def test_the_built_ins_train_through_their_entry_point(tmp_path):
    done = ganbench_here("run", RING, "--out", tmp_path, "--engine", "loop", "--json")
    assert done.code == 0
    table = done.json()
    assert [row["variant"] for row in table] == [
        "ring/mlp-gan/non-saturating/plain", "ring/mlp-gan/hinge/plain",
    ]  # fmt: skip
    assert {row["metric"] for row in table} == {"modes"}
    versions = json.loads(ganbench.load(tmp_path).runs["versions"].iloc[0])
    assert versions["loss non-saturating"] == {
        "distribution": "ganbench",
        "version": ganbench.__version__,
        "packaged": True,
    }


@pytest.mark.slow
@needs_builtins
def test_results_go_to_a_folder_named_by_the_suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ganbench_here("run", "dirac", "--steps", 20, "--engine", "loop").code == 0
    assert os.listdir(tmp_path) == ["results"]
    runs = ganbench.load(tmp_path / "results" / "dirac").runs
    assert len(runs) == 16
    assert (runs["budget"] == 20).all()


# ---- nothing is trained twice


def test_a_second_run_trains_nothing(tmp_path):
    run_toy(tmp_path)
    before = files_below(tmp_path)
    done = run_toy(tmp_path)
    assert "8 runs, 8 of them already trained" in done.err
    assert "started" not in done.err
    after = files_below(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} <= {"suite.lock.json", "report.html"}
    assert after.keys() == before.keys()
    assert all(label in done.out for label in LABELS)


@pytest.mark.slow
def test_more_seeds_train_only_the_new_ones(tmp_path):
    run_toy(tmp_path, "--seeds", "1")
    first, kept = stacks(tmp_path), files_below(tmp_path / "stacks")
    done = run_toy(tmp_path, "--seeds", "0,5")
    assert "8 runs, 4 of them already trained" in done.err
    assert files_below(tmp_path / "stacks").items() >= kept.items()
    new = [
        json.loads((tmp_path / "stacks" / s / "config.json").read_text()) for s in stacks(tmp_path) - first
    ]
    assert [config["seeds"] for config in new] == [[5]] * 4
    assert set(ganbench.load(tmp_path).runs["seed"]) == {0, 5}


@pytest.mark.slow
def test_fewer_seeds_show_fewer_rows_and_keep_the_others(tmp_path):
    run_toy(tmp_path, "--seeds", "3")
    run_toy(tmp_path, "--seeds", "1")
    assert set(ganbench.load(tmp_path).runs["seed"]) == {0}
    assert "12 runs, 12 of them already trained" in run_toy(tmp_path, "--seeds", "3").err


@pytest.mark.slow
def test_a_variant_that_was_taken_out_and_put_back_is_not_trained_again(tmp_path):
    run_toy(tmp_path)
    before = files_below(tmp_path / "stacks")
    only = run_toy(tmp_path, "--set", 'matrix.loss=["toy-bomb"]')
    assert "4 runs, 4 of them already trained" in only.err
    assert LABELS[0] not in only.out
    again = run_toy(tmp_path)
    assert "8 runs, 8 of them already trained" in again.err
    assert files_below(tmp_path / "stacks") == before


# ---- options


def test_seeds_are_a_count_or_a_list(tmp_path):
    for given, seeds in (("3", [0, 1, 2]), ("7,0", [7, 0]), ("4,", None)):
        done = ganbench_here("plan", TOY, "--seeds", given, "--json", "--out", tmp_path)
        assert (done.json()["seeds"] if seeds else done.code) == (seeds or 2)


def test_steps_and_set_change_what_is_trained(tmp_path):
    run_toy(tmp_path, "--steps", 30, "--set", "defaults.batch=4", "--set", "matrix.loss=['toy-loss']",
            "--set", "options.toy-gan.width=3")  # fmt: skip
    results = ganbench.load(tmp_path)
    assert len(results.runs) == 4
    assert (results.runs["steps"] == 30).all()
    assert results.traces["step"].max() == 30
    assert set(results.evaluations["step"]) == {0, 30}
    config = next(iter(results.configs.values()))
    assert (config["batch"], config["model"]["options"]["width"]) == (4, 3)


@needs_builtins  # where a plugin failed, an unknown name may be its own: then it is no bad input
def test_a_plugin_of_one_file_is_named_on_the_command_line(tmp_path):
    suite = tmp_path / "bare.toml"
    suite.write_text("\n".join(x for x in TOY.read_text().splitlines() if not x.startswith("plugins")))
    args = ("plan", suite, "--out", tmp_path, "--json")
    assert ganbench_here(*args).code == 2
    assert ganbench_here(*args, "--plugin", TESTS / "toys.py").json()["variants"] == LABELS


def test_quiet_says_nothing_but_the_table(tmp_path):
    done = run_toy(tmp_path, "--quiet")
    assert done.err == ""
    assert LABELS[0] in done.out


def test_json_is_all_that_is_printed(tmp_path):
    done = run_toy(tmp_path, "--json")
    assert done.err == ""
    table = done.json()
    assert [row["variant"] for row in table] == LABELS
    assert {row["runs"] for row in table} == {2}
    assert table == ganbench_here("report", tmp_path, "--json").json()
    summary = ganbench.load(tmp_path).summary()
    assert [row["final"] for row in table] == pytest.approx(list(summary["final"]))


def test_the_engine_is_the_one_that_was_asked_for(tmp_path):
    for engine, mapper in (("loop", "loop"), ("eager", "map")):
        made = ganbench_here("plan", TOY, "--engine", engine, "--out", tmp_path, "--json").json()
        assert {(s["engine"]["mapper"], s["engine"]["executor"]) for s in made["stacks"]} == {
            (mapper, "eager")
        }
    assert {stack["engine"]["device"] for stack in made["stacks"]} == {"cpu"}


def test_workers_share_the_runs_of_one_structure(tmp_path):
    sizes = {}
    for workers in (1, 2, 8):
        made = ganbench_here("plan", TOY, "--engine", "loop", "--seeds", 6, "--workers", workers,
                             "--out", tmp_path, "--json").json()  # fmt: skip
        assert made["workers"] == workers
        sizes[workers] = sorted(stack["runs"] for stack in made["stacks"])
    assert sizes == {1: [6] * 4, 2: [6] * 4, 8: [3] * 8}


# ---- plan


def test_a_plan_trains_nothing_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ganbench_here("plan", TOY)
    assert done.code == 0
    assert done.out.startswith("toy: 4 variants x 2 seeds = 8 runs\n")
    assert all(label in done.out for label in LABELS)
    assert "0 runs are already trained\n" in done.out, (
        "and of stacks that would resume there is nothing to tell"
    )
    assert ganbench_here("plan", TOY, "--out", "deep/down").code == 0
    assert os.listdir(tmp_path) == []


def test_a_stack_of_swept_values_is_not_called_by_the_first(tmp_path):
    sweep = ("--set", "options.toy-penalty.weight={ sweep = [0.125, 1.0, 3.0] }", "--out", tmp_path)
    name = "toy-blob/toy-gan/toy-loss/toy-penalty [3 values of toy-penalty.weight]"
    assert name in ganbench_here("plan", TOY, *sweep).out
    narrow = ganbench_here("plan", TOY, *sweep, columns=60).out
    assert "\ntoy-loss/plain " in narrow, "broken between parts"
    args = ("--set", "matrix.loss=['toy-loss']", "--engine", "loop", "--seeds", 1, "--steps", 2)
    assert f"ended    {name}: 3 finished" in ganbench_here("run", TOY, *sweep, *args).err


def test_a_plan_tells_what_is_cached(tmp_path):
    run_toy(tmp_path)
    before = files_below(tmp_path)
    done = ganbench_here("plan", TOY, "--seeds", 3, "--out", tmp_path)
    assert "4 variants x 3 seeds = 12 runs" in done.out
    assert "8 runs are already trained" in done.out
    made = ganbench_here("plan", TOY, "--seeds", 3, "--out", tmp_path, "--json").json()
    assert (made["runs"], made["cached"]) == (12, 8)
    assert [stack["runs"] for stack in made["stacks"]] == [1, 1, 1, 1]
    assert all(stack["memory"] > 0 for stack in made["stacks"])
    assert ganbench_here("plan", TOY, "--out", tmp_path, "--json").json()["stacks"] == []
    assert files_below(tmp_path) == before


def test_plans_of_longer_runs_take_longer(tmp_path):
    times = [
        ganbench_here("plan", TOY, "--steps", steps, "--engine", "loop", "--workers", 1, "--out", tmp_path,
                      "--json").json()["seconds"]
        for steps in (20_000, 200_000)
    ]  # fmt: skip
    assert times[1] == pytest.approx(10 * times[0], rel=0.05)


# ---- report, suites, plugins


def test_a_report_can_be_written_again(tmp_path):
    run_toy(tmp_path)
    told = (tmp_path / "report.md").read_text()
    (tmp_path / "report.md").unlink()
    done = ganbench_here("report", tmp_path)
    assert done.code == 0
    assert f"wrote {tmp_path / 'report.md'}" in done.out
    assert all(label in done.out for label in LABELS)
    assert (tmp_path / "report.md").read_text() == told
    assert ganbench_here("report", tmp_path, "--metric", "toy-mean").code == 0
    bad = ganbench_here("report", tmp_path, "--metric", "toy-means")
    assert (bad.code, bad.out) == (2, "")
    assert "did you mean 'toy-mean'?" in bad.err


@needs_builtins
def test_suites_are_listed_shown_and_described():
    listed = ganbench_here("suites", "--json").json()
    assert {"quickstart", "ring8", "dirac"} <= listed.keys()
    for name, description in listed.items():
        assert description in ganbench_here("suites").out
        assert f'name = "{name}"' in ganbench_here("suites", "show", name).out
    assert ganbench_here("suites", "schema").json()["properties"].keys() >= {"schema", "defaults", "matrix"}


def test_plugins_are_listed_with_their_components(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_anywhere\n")
    args = ("plugins", "list", "--plugin", TESTS / "toys.py", "--plugin", broken)
    plain, listed = ganbench_here(*args), ganbench_here(*args, "--json").json()
    assert plain.code == 0
    assert listed["components"]["executor"].keys() >= {"eager", "compiled", "cuda-graph"}
    assert listed["components"]["loss"]["toy-loss"] == str(TESTS / "toys.py")
    [failure] = [one for one in listed["failures"] if one["plugin"] == "broken"]
    assert failure["distribution"] == str(broken)
    assert "no_such_module_anywhere" in failure["reason"]
    assert "Traceback" in failure["traceback"]
    assert "toy-penalty" in plain.out
    assert "failed: broken of" in plain.out
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in plain.out


def test_a_component_is_shown_with_its_options():
    files = ("--plugin", TESTS / "toys.py")
    [shown] = ganbench_here("plugins", "show", "toy-penalty", *files, "--json").json()
    assert (shown["kind"], shown["name"]) == ("technique", "toy-penalty")
    options = {option["name"]: (option["default"], option["sweepable"]) for option in shown["options"]}
    assert options == {"weight": ("0.5", True), "damping": ("0.1", True)}
    text = ganbench_here("plugins", "show", "toy-penalty", *files).out
    assert "a damped field" in text
    assert "weight: float = 0.5, may be swept in a stack" in text
    bad = ganbench_here("plugins", "show", "toy-penalti", *files)
    assert (bad.code, bad.out) == (2, "")
    assert "did you mean 'toy-penalty'?" in bad.err


# ---- instant where nothing is trained


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"]])
def test_help_is_instant(args, tmp_path):
    """Within .3 s: the best of 5, for the machine may be busy."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run(command(*args), cwd=tmp_path, capture_output=True, check=False)
        best = min(best, time.perf_counter() - start)
        assert done.returncode == 0
    assert best < 0.3


@pytest.mark.parametrize(
    ("args", "heavy"),
    [
        (["--help"], {"torch", "pandas", "numpy", "pydantic", "scipy"}),
        (["suites", "schema"], {"torch"}),
        (["report", "FOLDER"], {"torch", "sklearn", "torchvision"}),
        (["report", "FOLDER", "--json"], {"torch"}),
    ],
)
def test_no_torch_where_nothing_is_trained(args, heavy, trained, tmp_path):
    args = [str(trained[0]) if arg == "FOLDER" else arg for arg in args]
    code = (
        "import sys\nfrom ganbench.cli import main\n"
        "try:\n    main()\nfinally:\n    print('LOADED', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=tmp_path, capture_output=True, text=True,
                          env=environment(), check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.rpartition("LOADED ")[2].split())
    assert "ganbench.cli" in loaded
    assert not loaded & heavy


# ---- readable


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize(
    "args",
    [
        ("run", TOY),
        ("plan", TOY, "--seeds", 3),
        ("plan", TOY, "--set", "defaults.optimizer.lr={ logspace = [1e-4, 1e-2, 3] }"),
        ("report",),
    ],
)
def test_no_line_is_wider_than_the_terminal(args, columns, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_toy("r")
    name, *rest = args
    done = ganbench_here(name, *(rest if rest else ["r"]), *(["--out", "r"] if rest else []), columns=columns)
    assert done.code == 0
    assert max(map(len, (done.out + done.err).splitlines())) <= columns


@needs_builtins
@pytest.mark.parametrize("columns", [80, 160])
def test_the_plan_of_a_large_suite_fits_too(columns, tmp_path):
    done = ganbench_here(
        "plan", "ring8", "--steps", 100, "--out", tmp_path, "--engine", "loop", columns=columns
    )
    assert "50 variants x 10 seeds = 500 runs" in done.out
    assert max(map(len, done.out.splitlines())) <= columns


def on_a_terminal(*args):
    """(code, standard output, what a terminal at standard error got, the same at standard output)."""
    primary, secondary = pty.openpty()
    done = subprocess.Popen(
        command(*args), stdin=secondary, stdout=secondary, stderr=secondary, env=environment(TERM="xterm")
    )
    os.close(secondary)
    seen = b""
    while True:
        try:
            piece = os.read(primary, 65536)
        except OSError:  # the other side was closed
            break
        if not piece:
            break
        seen += piece
    os.close(primary)
    return done.wait(timeout=60), seen.decode()


@pytest.mark.slow
def test_bars_on_a_terminal_end_in_the_table(tmp_path):
    """Labels with brackets are text, not markup, and the bars leave nothing behind."""
    suite = SUITES / "hostile.toml"
    code, seen = on_a_terminal("run", suite, "--out", tmp_path, "--engine", "loop", "--workers", 1)
    assert code == 0, seen
    assert "all runs" in seen
    assert "[/red]" in seen
    assert "Traceback" not in seen
    assert "0 of 1" in seen


def test_a_check_shows_on_a_terminal_where_it_is():
    code, seen = on_a_terminal("plugins", "check", SUITES.parent / "wrong_plugins" / "wrong_shape.py")
    assert code == 1, seen
    assert "wrong_shape.py: loads" in seen
    assert "failed" in seen


# ---- hostile names


def test_hostile_names_break_no_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = SUITES / "hostile.toml"
    done = ganbench_here("run", suite, "--out", "r", "--engine", "loop")
    assert done.code == 0, done.err
    assert os.listdir(tmp_path) == ["r"]
    [folder] = os.listdir(tmp_path / "r" / "stacks")
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    [row] = ganbench.load("r").runs.to_dict("records")
    assert row["loss"] == "../../evil [/red] <b>|`x`"
    again = ganbench_here("run", suite, "--out", "r", "--engine", "loop")
    assert "1 runs, 1 of them already trained" in again.err


@pytest.mark.slow
def test_control_characters_of_plugins_do_not_reach_a_terminal():
    plugin = SUITES / "hostile.py"
    for args in (("list",), ("show", "colour\x1b[31mful")):
        code, seen = on_a_terminal("plugins", *args, "--plugin", plugin)
        assert code == 0
        assert "\x1b[31m" not in seen


def test_a_suite_cannot_ask_for_a_name_with_control_characters(tmp_path):
    how = ("--set", 'defaults.loss="colour\\u001b[31mful"', "--out", tmp_path / "r")
    done = ganbench_here("run", SUITES / "hostile.toml", *how)
    assert (done.code, done.out) == (2, "")
    assert done.err.strip().isprintable()
    assert not (tmp_path / "r").exists()


def test_suite_names_cannot_leave_the_results_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("../up", "/tmp/absolute", "a/b", "..", ".hidden"):
        done = ganbench_here("run", TOY, "--set", f'name="{name}"')
        assert (done.code, done.out) == (2, ""), name
        assert "name" in done.err
    assert os.listdir(tmp_path) == []
