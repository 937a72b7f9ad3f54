"""Wheels of ganbench, of the example and of one new plugin a kind, installed into a fresh environment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from run_cli import ganbench_here, needs_builtins
from test_example_plugin import EXAMPLE, PARTS
from wheels import ROOT, install, run

from ganbench.scaffold import KINDS, NewPlugin

pytestmark = [needs_builtins, pytest.mark.slow, pytest.mark.xdist_group("installed")]
BRIEF = ("--steps", "6", "--seeds", "2", "--workers", "1", "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with new plugins in it, and a fresh environment in which all wheels are installed."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("home")
    for kind in KINDS:
        assert ganbench_here("plugins", "new", kind, f"new-{kind}", "--dir", folder).code == 0
    projects = [ROOT, EXAMPLE, *(folder / f"new-{kind}" for kind in KINDS)]
    install(folder, projects)
    return folder


def ganbench(home: Path, *arguments: object) -> str:
    return run(home / "venv" / "bin" / "ganbench", *arguments, cwd=home)


def python(home: Path, *arguments: object, cwd: Path) -> str:
    return run(home / "venv" / "bin" / "python", *arguments, cwd=cwd)


def test_ganbench_is_the_installed_one(home):
    where = python(
        home, "-c", "import ganbench, ganbench_builtin as b; print(ganbench.__file__, b.__file__)", cwd=home
    )
    assert all(Path(path).is_relative_to(home / "venv") for path in where.split())


def test_all_plugins_are_listed(home):
    listed = json.loads(ganbench(home, "plugins", "list", "--json"))
    assert listed["failures"] == []
    assert set(listed["plugins"]) == {"core", "builtin", "example", *(f"new-{kind}" for kind in KINDS)}
    for kind, name in PARTS.items():
        assert listed["components"][kind][name] == "ganbench-example 0.1.0"
    for kind in set(KINDS) - {"suite"}:
        assert listed["components"][kind][f"new-{kind}"] == f"ganbench-new-{kind} 0.1.0"
    assert "new-suite" in ganbench(home, "suites")


def test_the_examples_tests_pass(home, tmp_path):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    assert " passed" in python(home, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)


def test_the_examples_suite_runs(home):
    printed = ganbench(home, "run", "example", *BRIEF, "--log", "outcome-table")
    assert "residual-mlp-gan" in printed
    assert (home / "results" / "example" / "outcomes.csv").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_plugin_pass(kind, home):
    folder = home / f"new-{kind}"
    assert " passed" in python(home, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)


@pytest.mark.parametrize("kind", KINDS)
def test_the_suite_of_a_new_plugin_runs(kind, home):
    new = NewPlugin(kind, f"new-{kind}")
    ganbench(home, "run", home / new.name / new.suite, *BRIEF, *new.flags.split())
    assert (home / "results" / new.name / "runs.csv").is_file()


def test_the_installed_one_writes_new_plugins_too(home, tmp_path):
    printed = run(home / "venv" / "bin" / "ganbench", "plugins", "new", "loss", "another", cwd=tmp_path)
    assert "wrote another/ganbench_another.py" in printed
