"""Sixteen plugins, each wrong in a way of its own: what `ganbench plugins check` says, and no harm done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import TOY, assert_same_rows, ganbench_here, ganbench_process, needs_builtins, rows

from ganbench.cli.check import _ends
from ganbench.testing.subprocess import checked

FOLDER = Path(__file__).parents[1] / "files" / "wrong_plugins"
MAPPING = "no `if` on tensors"
DEVICES = "keeps-nothing-on-the-cpu"
WRONG = {
    "changes_the_batch": (
        "changes-nothing-in-place",
        "of the batch, 'data' was changed in place",
        "x.clamp(...)",
    ),
    "global_generator": ("leaves-global-generators-alone", "torch's global generator was used", "`draws`"),
    "import_error": (
        "loads",
        "ModuleNotFoundError: No module named 'no_such_package",
        "correct the code that raised it",
    ),
    "keeps_a_cpu_tensor": (
        DEVICES,
        "it keeps a tensor on the CPU: one of shape (2,), met in mul (keeps_a_cpu_tensor.py:21)",
        "x.new_full",
    ),
    "leaks": (
        "reaches-only-the-mover",
        "on the turn of discriminator there is a gradient of the generator too",
        "a field gives the gradients of the turn's players",
    ),
    "mutable_state": (
        "pure",
        "asked again, the gradient of generator was off by",
        "keep nothing between calls",
    ),
    "name_taken": ("loads", "the loss name 'hinge' is taken by ganbench ", "choose another name"),
    "nan_at_logit_50": (
        "finite-at-extremes",
        "at fake_logits = 50 the generator's value is -inf",
        "softplus",
    ),
    "newer_api": ("loads", "it needs plugin API 1000, and ganbench", "upgrade ganbench"),
    "not_mappable": ("mappable", "(not_mappable.py:19); it will be trained serially", MAPPING),
    "prints_on_import": ("imports-quietly", "it printed 'Thank you for using my loss!'", "print nothing"),
    "returns_none": ("gives-a-scalar", "the generator's method gave NoneType: None", "return a tensor"),
    "sleeps_on_import": ("imports-quickly", "it took 2.", "inside the functions that need them"),
    "unknown_option": (
        "refuses-unknown-options",
        "the unknown option 'no_such_option' was accepted",
        "`__init__`",
    ),
    "wrong_shape": (
        "gives-a-scalar",
        "the discriminator's method gave a tensor of shape (8, 1)",
        "return the mean over the batch",
    ),
    "wrong_signature": ("loads", "Argument(s) {'config'} are declared in the hookimpl", "ganbench.hookspecs"),
}
"""File -> (the check that catches it, what it saw, how to fix it)."""
ALONE = ("imports-quietly", "imports-quickly", "mappable", "finite-at-extremes", DEVICES)
"""Checks whose fault no other check sees."""
FILES = [FOLDER / f"{name}.py" for name in WRONG]


def test_there_are_sixteen():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(WRONG)
    assert len(WRONG) == 16


@needs_builtins
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_plugin_fails_the_right_check(name):
    """By the right check, with what was seen and how to fix it; no check beside it blames it wrongly."""
    check, seen, fix = WRONG[name]
    events = list(checked(str(FOLDER / f"{name}.py"), {}))
    failed = {event["check"]: event for event in events if event.get("outcome") == "failed"}
    assert check in failed, f"only {', '.join(failed) or 'nothing'} failed"
    assert seen in failed[check]["seen"]
    assert fix in failed[check]["fix"]
    assert failed[check]["expected"].endswith(".")
    if check in (
        "unknown-options",
        "imports-quietly",
        "imports-quickly",
        "mappable",
        "finite-at-extremes",
        DEVICES,
    ):
        assert list(failed) == [check]


@pytest.mark.slow
@needs_builtins
def test_wrong_plugins_are_listed(tmp_path):
    flags = [part for path in FILES for part in ("--plugin", path)]
    done = ganbench_here("plugins", "list", "--json", *flags)
    assert done.code == 0
    listed = done.json()
    assert "Thank you for using my loss!" in done.err
    assert {failure["plugin"] for failure in listed["failures"]} == {
        "import_error",
        "name_taken",
        "newer_api",
        "wrong_signature",
    }
    told = ganbench_here("plugins", "list", "--plugin", FOLDER / "sleeps_on_import.py").out
    assert "sleeps_on_import.py, slow to import: 2." in told


def test_an_unrelated_suite_is_as_without_them(tmp_path, monkeypatch):
    """All sixteen are there; one prints, four do not load: the rows are the same, bit for bit."""
    args = ("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--engine", "loop", "--json")
    assert ganbench_here(*args, "--out", tmp_path / "without").code == 0
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    flags = [part for path in FILES for part in ("--plugin", path)]
    done = ganbench_here(*args, "--out", tmp_path / "with", *flags)
    assert done.code == 0
    assert len(done.json()) == 2
    assert_same_rows(rows(tmp_path / "without"), rows(tmp_path / "with"))


def test_help_loads_no_plugin():
    code = "import sys; sys.argv = ['ganbench', '--help']; from ganbench.cli import main\n"
    code += "try: main()\nfinally: assert 'ganbench.plugins.discovery' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


# -- the command, in a process of its own


@pytest.mark.slow
@needs_builtins
def test_the_command(tmp_path):
    done = ganbench_process(
        "plugins", "check", FOLDER / "wrong_shape.py", cwd=tmp_path, env={"COLUMNS": "80"}
    )
    assert done.code == 1, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    assert "seen: the discriminator's method gave a tensor of shape (8, 1)" in done.out
    assert "expected: Each player's method gives one number" in done.out
    assert "fix: return the mean over the batch" in done.out
    assert done.out.splitlines()[-1].endswith("13 not tried")


@pytest.fixture
def bare(monkeypatch):
    """No built-ins, so that nothing takes long to import."""
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", "ganbench")


TRICKS = {
    "leaves": ("import os\nos._exit(0)\n", "loads", "the process exited with 0"),
    "dies": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
        "loads",
        "the process was killed by SIGSEGV",
    ),
    "hangs": (
        "import time\nwhile True:\n    try: time.sleep(99)\n    except BaseException: pass\n",
        "loads",
        "it was stopped after 4 s",
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_check_that_hangs_or_exits_is_reported(tmp_path, bare, trick):
    source, check, seen = TRICKS[trick]
    path = tmp_path / f"{trick}.py"
    path.write_text(source)
    done = ganbench_here("plugins", "check", path, "--timeout", 4, "--json")
    assert done.code == 1
    [finding] = done.json()["findings"]
    assert (finding["component"], finding["check"], finding["seen"]) == (path.name, check, seen)


def test_the_timeout_is_of_each_check(tmp_path):
    """All together take longer."""
    code = "import time\nfor _ in range(8):\n    print('told', flush=True)\n    time.sleep(0.25)\n"
    for tells, comes in ((code, True), (code.replace("'told'", "end=''"), False)):
        with (
            (tmp_path / "told").open("w+") as told,
            subprocess.Popen([sys.executable, "-c", tells], stdout=told) as process,
        ):
            assert _ends(process, told, 1.5) == comes
            process.kill()


def test_a_crash_names_its_check(tmp_path, bare):
    path = tmp_path / "late.py"
    source = (FOLDER / "prints_on_import.py").read_text()
    path.write_text("import os\n" + source.replace("return -out", "os._exit(3)\n        return -out"))
    findings = ganbench_here("plugins", "check", path, "--json").json()["findings"]
    assert findings[-1]["component"] == "loss prints-on-import"
    assert findings[-1]["seen"].startswith("the process exited with 3")


def test_an_unknown_plugin_is_bad_input(tmp_path, bare):
    for name, told in (
        ("no-such-thing", "there is no component, plugin or distribution 'no-such-thing'"),
        (tmp_path / "absent.py", "there is no file"),
    ):
        done = ganbench_here("plugins", "check", name)
        assert done.code == 2
        assert told in done.err
        assert "Traceback" not in done.err


def test_a_file_may_be_named_by_its_folder(tmp_path, bare, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import ganbench\n")
    findings = list(checked("./mine.py", {}))
    assert {finding["component"] for finding in findings} == {"mine.py"}
    assert {finding["check"] for finding in findings} >= {"loads", "provides-something"}


def test_a_plugins_own_lines_are_shown(tmp_path, bare):
    path = tmp_path / "forgetful.py"
    path.write_text("import ganbench\n\n\n@dataclass(frozen=True)\nclass A(ganbench.Loss): ...\n")
    told = ganbench_here("plugins", "check", path).out
    assert "fix: did you forget `from dataclasses import dataclass`?" in told
    assert f'File "{path}", line 4, in <module>' in told
    assert "importlib" not in told


def test_a_refused_class_is_reported_with_its_fix(tmp_path, bare):
    path = tmp_path / "bare.py"
    source = (FOLDER / "prints_on_import.py").read_text()
    path.write_text(source.replace("@dataclass(frozen=True)\n", ""))
    finding = next(event for event in checked(str(path), {}) if event.get("outcome") == "failed")
    assert finding["seen"].endswith("is not a frozen dataclass")
    assert finding["fix"] == "write `@dataclass(frozen=True)` above the class"
    assert finding["traceback"] == ""


def test_a_hostile_name_is_printed_plainly(tmp_path, bare):
    path = tmp_path / "hostile.py"
    path.write_text("raise RuntimeError('\\x1b[31mred')\n")
    done = ganbench_here("plugins", "check", path)
    assert "\x1b" not in done.out
    assert "\\x1b[31mred" in done.out


@needs_builtins
def test_a_component_by_its_name():
    events = list(checked("hinge", {"skip": ["trains"], "options": {}}))
    found = {event["check"]: event["outcome"] for event in events if event["event"] == "finding"}
    assert "trains" not in found
    assert set(found.values()) == {"passed"}
    assert {event["component"] for event in events if event["event"] == "finding"} == {"loss hinge"}


@needs_builtins
def test_options_for_a_check():
    events = list(checked("ring", {"options": {"size": "many"}}))
    failed = [event for event in events if event.get("outcome") == "failed"]
    assert [event["check"] for event in failed] == ["can-be-made"]
    assert "size" in failed[0]["seen"]


def test_strict_does_not_hinder_a_check(bare, monkeypatch):
    monkeypatch.setenv("GANBENCH_STRICT_PLUGINS", "1")
    done = ganbench_here("plugins", "check", FOLDER / "import_error.py", "--json")
    assert done.code == 1
    assert done.json()["findings"][0]["check"] == "loads"


def test_a_disabled_plugin_is_not_checked(bare):
    done = ganbench_here("plugins", "check", "builtin")
    assert done.code == 2
    assert "the plugin 'builtin' is disabled by GANBENCH_DISABLE_PLUGINS" in done.err
