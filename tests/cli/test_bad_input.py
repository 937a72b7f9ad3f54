"""Bad input: one clear message on standard error, exit code 2, nothing on disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import (
    RING,
    SUITES,
    TOY,
    Done,
    command,
    environment,
    files_below,
    ganbench_here,
    ganbench_process,
    needs_builtins,
)
from suite_parts import CASES, spoilt

import ganbench
from ganbench.storage.lock import FolderLock

PLUGIN = SUITES / "bad_cases.py"
IN_A_PROCESS = [
    "schema missing", "steps negative", "loss unknown", "loss of another family", "matrix empty",
    "seed twice", "a thousand million cells", "several faults at once",
]  # fmt: skip


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty folder to be in; nothing but what `write` puts beside it may appear."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def assert_refused(done: Done, *told: str, where: Path | None = None) -> None:
    """Exit code 2, messages on standard error alone, each on one line, no traceback, nothing written."""
    assert (done.code, done.out) == (2, ""), done
    lines = [line for line in done.err.splitlines() if not line.endswith(" already trained")]
    assert lines
    assert all(line.startswith("error: ") and line.isprintable() for line in lines), done.err
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    for part in told:
        assert part in done.err
    if where is not None:
        assert files_below(where) == {}
        assert os.listdir(where) == []


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


# ---- suites


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@pytest.mark.timeout(20)
def test_a_bad_suite_is_refused(case, write, empty):
    done = ganbench_here("run", write(spoilt(case)), "--plugin", PLUGIN)
    assert_refused(done, *listed(case["where"]), where=empty)
    assert len(done.err.splitlines()) == len(listed(case["where"]))


@pytest.mark.parametrize(
    "name",
    [name if i < 3 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(IN_A_PROCESS)],
)
def test_a_bad_suite_is_refused_by_the_command_itself(name, write, empty):
    [case] = [case for case in CASES if case["id"] == name]
    done = ganbench_process("run", write(spoilt(case)), "--plugin", PLUGIN, cwd=empty)
    assert_refused(done, *listed(case["where"]), where=empty)


def test_a_plan_refuses_what_a_run_refuses(write, empty):
    path = write(spoilt(next(case for case in CASES if case["id"] == "steps negative")))
    one, other = (ganbench_here(name, path, "--plugin", PLUGIN) for name in ("run", "plan"))
    assert one == other
    assert_refused(other, "defaults.steps", where=empty)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\xff\xfe",
        b"schema = ",
        b"a = " + b"[" * 100_000,
        b"schema = 1" + b" " * 99,
    ],
    ids=["empty", "binary", "not UTF-8", "not TOML", "nested", "no name"],
)
def test_files_that_are_no_suites_are_refused(content, write, empty):
    assert_refused(ganbench_here("run", write(content)), where=empty)


@pytest.mark.parametrize("name", ["nowhere.toml", "no/such/folder.toml", ".", "/dev/null", "./a\nb.toml", ""])
def test_paths_that_are_no_suites_are_refused(name, empty):
    assert_refused(ganbench_here("run", name), where=empty)


@needs_builtins
def test_the_nearest_suite_is_offered(empty):
    assert_refused(ganbench_here("run", "quikstart"), "did you mean 'quickstart'?", where=empty)
    assert_refused(ganbench_here("suites", "show", "rinng8"), "did you mean 'ring8'?", where=empty)


# ---- options


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (["--seeds", "0"], "--seeds"),
        (["--seeds", "-3"], "--seeds"),
        (["--seeds", "0,-1"], "--seeds"),
        (["--seeds", "1,1"], "--seeds"),
        (["--seeds", "three"], "--seeds"),
        (["--seeds", "1,two"], "--seeds"),
        (["--seeds", "1,,2"], "--seeds"),
        (["--seeds", ""], "--seeds"),
        (["--seeds", "1.5"], "--seeds"),
        (["--seeds", str(2**63) + ",0"], "--seeds"),
        (["--seeds", "1000000000"], "4,000,000,000 runs"),
        (["--steps", "0"], "--steps"),
        (["--steps", "-5"], "--steps"),
        (["--set", "defaults.steps"], "must look like"),
        (["--set", "defaults.stesp=1"], "did you mean 'steps'?"),
        (["--set", "defaults.loss=toy-los", "--set", "matrix.loss=['toy-loss']"], "did you mean 'toy-loss'?"),
        (["--set", "options.toy-gan.wdth=3"], "did you mean 'width'?"),
        (["--set", "matrix.loss.7=x"], "'7'"),
        (["--engine", "lop"], "did you mean 'loop'?"),
        (["--engine", ""], "unknown engine"),
        (["--engine", "cuda-graph"], "CUDA"),
        (["--device", "cudda"], "did you mean 'cuda'?"),
        (["--device", "quantum"], "choose from cpu, cuda"),
        (["--out", os.devnull], "is a file"),
        (["--set", "plugins=['nowhere.py']"], "nowhere.py"),
    ],
)
@pytest.mark.parametrize("name", ["run", "plan"])
def test_bad_options_are_refused(name, how, told, empty):
    assert_refused(ganbench_here(name, TOY, *how), told, where=empty)


@pytest.mark.parametrize(
    "how", [["--steps", "many"], ["--workers", "0"], ["--workers", "x"], ["--sedes", "3"], ["another"], []]
)
def test_bad_usage_is_told_by_the_parser(how, empty):
    done = ganbench_here("run", *([TOY, *how] if how else []))
    assert (done.code, done.out) == (2, "")
    assert "Error: " in done.err
    assert "Traceback" not in done.err
    assert os.listdir(empty) == []


def test_unknown_commands_are_told_by_the_parser():
    assert ganbench_here("trian", TOY).code == 2


def test_cuda_is_refused_where_there_is_none(empty, monkeypatch):
    monkeypatch.setattr("ganbench.machine.gpus._cards", lambda: ())
    assert_refused(ganbench_here("run", TOY, "--device", "cuda"), "no CUDA device", where=empty)


@pytest.mark.parametrize("seconds", ["-1", "nan"])
def test_a_timeout_that_is_no_time_is_refused(seconds, empty):
    assert_refused(ganbench_here("run", TOY, "--timeout", seconds), "--timeout", where=empty)


def test_a_plugin_file_that_is_not_there_is_refused(empty):
    assert_refused(ganbench_here("run", TOY, "--plugin", "nowhere.py"), "nowhere.py", where=empty)


# ---- where results go


def test_results_cannot_go_where_a_file_is(empty):
    (empty / "file").write_text("mine")
    for out in ("file", "file/below"):
        assert_refused(ganbench_here("run", TOY, "--out", out))
    assert files_below(empty) == {"file": b"mine"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can make a folder")
def test_results_cannot_go_where_nothing_can_be_written():
    done = ganbench_here("run", TOY, "--out", "/proc/nowhere/results")
    assert_refused(done, "/proc/nowhere/results: cannot be written to")


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_results_cannot_go_into_a_folder_of_another(empty):
    (empty / "locked").mkdir(mode=0o500)
    assert_refused(ganbench_here("run", TOY, "--out", "locked/results"), "cannot be written to")


@pytest.mark.slow
def test_a_folder_that_is_in_use_is_left_alone(tmp_path):
    with FolderLock(tmp_path):
        done = ganbench_here("run", TOY, "--out", tmp_path)
        assert_refused(done, f"{tmp_path}: is in use by process {os.getpid()} on {socket.gethostname()}")
        assert set(os.listdir(tmp_path)) == {".ganbench.lock"}
    assert ganbench_here("run", TOY, "--out", tmp_path, "--engine", "loop").code == 0


@pytest.mark.slow
def test_a_lock_of_a_process_that_was_killed_is_taken_over(tmp_path):
    code = "import sys, time\nfrom ganbench.storage.lock import FolderLock\n"
    code += "FolderLock(sys.argv[1]).__enter__()\n"
    code += "print('held', flush=True)\ntime.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        assert_refused(ganbench_here("run", TOY, "--out", tmp_path), f"process {holder.pid}")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert ganbench_here("run", TOY, "--out", tmp_path, "--engine", "loop").code == 0


# ---- reports


def test_there_is_no_report_where_there_are_no_results(empty):
    (empty / "file").write_text("mine")
    (empty / "folder").mkdir()
    for folder in ("nowhere", "file", "folder", "", "."):
        assert_refused(ganbench_here("report", folder))
    assert files_below(empty) == {"file": b"mine"}


def test_the_nearest_results_are_offered(empty):
    assert ganbench_here("run", TOY, "--engine", "loop", "--seeds", 1).code == 0
    assert_refused(ganbench_here("report", "results/tooy"), "did you mean 'toy'?")
    assert ganbench_here("report", "results").code == 0  # a folder of suites stands for all of them


def test_results_that_cannot_be_written_to_are_still_shown(empty):
    assert ganbench_here("run", TOY, "--engine", "loop", "--seeds", 1).code == 0
    (empty / "results/toy/report.md").unlink()
    (empty / "results/toy/report.md").mkdir()  # stands for a folder of somebody else's
    done = ganbench_here("report", "results/toy")
    assert "toy-blob/toy-gan/toy-loss/plain" in done.out
    assert "internal error" not in done.err


# ---- data and metrics


ON_DIGITS = ("--set", "defaults.dataset=digits", "--set", "options={ mlp-gan = { hidden = [8] } }")


@needs_builtins
def test_a_metric_that_cannot_be_taken_is_bad_input(empty):
    done = ganbench_here("run", RING, *ON_DIGITS)
    assert_refused(done, "variant digits/mlp-gan/non-saturating/plain: modes", where=empty)


@needs_builtins
def test_metrics_that_cannot_be_taken_are_told_for_all_variants_at_once(empty):
    done = ganbench_here("run", RING, *ON_DIGITS)
    assert_refused(done, "digits/mlp-gan/non-saturating/plain", "digits/mlp-gan/hinge/plain", where=empty)


MNIST = """
schema = 1
name = "mnist"
[defaults]
dataset = "mnist"
model = "mlp-gan"
loss = "hinge"
steps = 10
seeds = 1
"""


@needs_builtins
def test_mnist_without_files_or_network_is_one_clear_sentence(write, empty, tmp_path, monkeypatch):
    data = tmp_path / "data"
    monkeypatch.setenv("GANBENCH_DATA", str(data))

    def offline(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("ganbench_builtin.datasets._files.urlopen", offline)
    done = ganbench_here("run", write(MNIST))
    told = ("mnist", "cannot be downloaded", "Network is unreachable", "GANBENCH_DATA", str(data))
    assert_refused(done, *told, where=empty)
    assert len(done.err.splitlines()) == 1


@needs_builtins
def test_mnist_with_damaged_files_is_one_clear_sentence(write, empty, tmp_path, monkeypatch):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").write_bytes(b"damaged")
    monkeypatch.setenv("GANBENCH_DATA", str(tmp_path))
    done = ganbench_here("run", write(MNIST))
    assert_refused(done, "train-images-idx3-ubyte", where=empty)


@pytest.mark.slow
@needs_builtins
def test_parts_that_do_not_fit_are_an_outcome_not_bad_input(tmp_path):
    """DCGAN draws images, the ring has none: exit code 1, and the others are trained in full."""
    include = '{ model = "dcgan", loss = "hinge" }'
    how = ("--engine", "loop", "--set", "matrix.loss=['hinge']", "--set", f"matrix.include=[{include}]")
    done = ganbench_here("run", RING, "--out", tmp_path, *how)
    assert done.code == 1
    assert "incompatible: ring/dcgan/hinge/plain: dcgan draws images of" in done.out
    runs = ganbench.load(tmp_path).runs
    kept = runs[["variant", "seed", "outcome", "steps"]].to_dict("split")["data"]
    assert [row[:2] + row[3:] for row in kept] == [
        ["ring/mlp-gan/hinge/plain", 0, 150], ["ring/mlp-gan/hinge/plain", 1, 150],
        ["ring/dcgan/hinge/plain", 0, 0], ["ring/dcgan/hinge/plain", 1, 0],
    ]  # fmt: skip
    assert list(runs["outcome"][2:]) == ["incompatible", "incompatible"]
    assert "incompatible" not in set(runs["outcome"][:2])
    alone = ganbench_here("plan", RING, "--out", tmp_path, *how, "--json").json()
    assert (alone["cached"], len(alone["incompatible"]), alone["stacks"]) == (2, 2, [])
    again = ganbench_here("run", RING, "--out", tmp_path, *how)
    assert again.code == 1
    assert "started" not in again.err


def test_a_command_that_nobody_reads_ends_quietly():
    """`ganbench plugins list | head -0` is no error worth a word."""
    alone = subprocess.Popen(
        command("plugins", "list"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    alone.stdout.close()
    with alone.stderr:
        assert alone.stderr.read() == b""
    assert alone.wait(timeout=60) in (0, 1)
