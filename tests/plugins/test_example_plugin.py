"""The example of a third party's distribution: found like an installed one, trained beside the built-ins."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from importlib import util
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from run_cli import ganbench_here, needs_builtins

import ganbench
from ganbench.plugins.discovery import discover

pytestmark = needs_builtins
EXAMPLE = Path(__file__).parents[2] / "plugins" / "ganbench-example"
PARTS = {
    "loss": "tempered-logistic",
    "technique": "normalised-gradient",
    "model": "residual-mlp-gan",
    "metric": "radial-wasserstein",
    "logger": "outcome-table",
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """As an installer leaves it: the source on the path, and metadata that name its entry point."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    info = tmp_path / "site" / f"ganbench_example-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    [(name, module)] = project["entry-points"]["ganbench"].items()
    (info / "entry_points.txt").write_text(f"[ganbench]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    monkeypatch.syspath_prepend(info.parent)
    yield
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "ganbench_example"]:
        del sys.modules[loaded]


def test_the_example_is_discovered(installed):
    catalogue = discover()
    assert catalogue.failures == []
    assert catalogue.plugins["example"] == "ganbench-example 0.1.0"
    for kind, name in PARTS.items():
        assert catalogue.get(kind, name).owner == "ganbench-example 0.1.0"
    assert catalogue.suites["example"] == EXAMPLE / "src" / "ganbench_example" / "example.toml"


@pytest.mark.slow
def test_its_suite_trains_beside_the_built_ins(installed, tmp_path):
    brief = ["--steps", "6", "--seeds", "2", "--set", "options.ring.size=500", "--log", "outcome-table"]
    how = ("--workers", "1", "--device", "cpu", "--json", "--out", tmp_path / "out")
    with mock.patch("ganbench.report.write_report"):
        done = ganbench_here("run", "example", *brief, *how)
    assert done.code == 0, done.err
    results = ganbench.load(tmp_path / "out")
    assert set(results.runs["model"]) == {"mlp-gan", "residual-mlp-gan"}
    assert set(results.runs["loss"]) == {"non-saturating", "tempered-logistic"}
    assert set(results.runs["normalised-gradient.power"].dropna()) == {0.5, 1.0}
    assert set(results.runs["outcome"]) == {"finished"}
    assert results.runs["final_radial-wasserstein"].notna().all()
    owners = [json.loads(text).values() for text in results.runs["versions"]]
    example = {"distribution": "ganbench-example", "version": "0.1.0", "packaged": True}
    assert all(example in owner for owner in owners)
    outcomes = pd.read_csv(tmp_path / "out" / "outcomes.csv")
    assert len(outcomes) == len(results.runs) == 2 * 2 * 3 * 2


def test_the_example_uses_the_public_interface_only():
    for path in EXAMPLE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        named = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        named |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        inner = {name for name in named if name.startswith(("ganbench.", "ganbench_builtin"))}
        assert inner <= {"ganbench.testing"}, path


def test_its_components_pass_the_kit(installed):
    testing = pytest.importorskip("ganbench.testing")
    catalogue = discover()
    for kind, name in PARTS.items():
        findings = testing.check(catalogue.get(kind, name).cls)
        assert [finding for finding in findings if not finding.ok] == []


def test_its_own_values(installed):
    """Its tests, but those of the kit."""
    importlib.import_module("ganbench_example")
    code = pytest.main(
        ["-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE / "tests/test_values.py")]
    )
    assert code == 0


@pytest.mark.skipif(util.find_spec("ruff") is None, reason="ruff is not installed")
def test_the_example_passes_ruff():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=EXAMPLE,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
