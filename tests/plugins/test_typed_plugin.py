"""The public names are enough for typed plugins: `mypy --strict` on a stranger's, the example, new ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
from blocks import blocks
from run_cli import needs_builtins
from test_example_plugin import EXAMPLE
from wheels import ROOT, install, run

import ganbench
from ganbench.scaffold import KINDS, NewPlugin

STRANGER = Path(__file__).parent / "stranger"
WRITE_PAGES = [ROOT / "docs" / "add-a-loss.md", *sorted((ROOT / "docs" / "write").glob("*.md"))]
CONFIG = """
[mypy]
strict = True
mypy_path = {root}

[mypy-ganbench.*]
follow_imports = silent
"""
WRONG = """
import ganbench

names = ganbench.no_such_name


class Wrong(ganbench.Technique):
    def objective(self, inner: ganbench.Objective) -> ganbench.Play:
        return inner
"""
pytestmark = pytest.mark.xdist_group("typed")  # one environment, one run of mypy
needs_mypy = pytest.mark.skipif(util.find_spec("mypy") is None, reason="mypy is not installed")


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> list[str]:
    """What mypy finds in typed plugins and in one that is wrong on purpose. One call: torch is slow."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(CONFIG.format(root=ROOT))
    (folder / "wrong.py").write_text(WRONG)
    files = ["wrong.py"]
    for new in (NewPlugin(kind, f"new-{kind}") for kind in KINDS):
        [path] = (path for path in new.files if path.startswith(new.module) and path.endswith(".py"))
        files.append(f"{new.module}.py")
        (folder / files[-1]).write_text(new.files[path])
    for page in WRITE_PAGES:
        for block in (block for block in blocks(page) if block.file.endswith(".py")):
            files.append(block.file)
            (folder / block.file).write_text(block.text)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-pretty", *files]
    cache = ("--cache-dir", ROOT / ".mypy_cache" / "plugins")
    done = subprocess.run(
        [*command, EXAMPLE / "src", STRANGER / "src", *cache], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


@needs_mypy
@pytest.mark.slow
def test_plugins_that_use_public_names_only_are_typed(findings):
    assert [line for line in findings if not line.startswith("wrong.py")] == []


@needs_mypy
@pytest.mark.slow
def test_wrong_names_and_wrong_signatures_are_found(findings):
    codes = [re.search(r"\[([\w-]+)\]$", line)[1] for line in findings if line.startswith("wrong.py")]
    assert codes == ["attr-defined", "override", "return-value"]


def test_the_stranger_imports_nothing_but_the_public_door():
    [source] = (STRANGER / "src").rglob("*.py")
    text = source.read_text(encoding="utf-8")
    assert re.findall(r"^(?:from|import) ganbench.*$", text, re.MULTILINE) == ["import ganbench"]
    assert set(re.findall(r"ganbench\.(\w+)", text)) <= set(ganbench.__all__)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with the stranger's source, and an environment with wheels of ganbench and the stranger."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(STRANGER, folder / "stranger")
    install(folder, [ROOT, folder / "stranger"])
    return folder


@pytest.mark.slow
@needs_mypy
def test_a_strangers_plugin_is_typed_where_the_wheel_is_installed(home):
    python = home / "venv" / "bin" / "python"
    assert "Success" in run(python, "-m", "mypy", "--strict", cwd=home / "stranger")


@pytest.fixture(scope="module")
def results(home) -> ganbench.results.Results:
    how = ("--workers", "1", "--device", "cpu", "--quiet", "--log", "outcome-lines")
    run(home / "venv" / "bin" / "ganbench", "run", "stranger", *how, cwd=home)
    return ganbench.load(home / "results" / "stranger")


@pytest.mark.slow
@needs_builtins
def test_a_strangers_suite_trains_and_is_logged(results, home):
    assert not set(results.runs["outcome"]) & {"crashed", "incompatible"}
    assert len(results.runs) == 2 + 2 * 2
    lines = (home / "results" / "stranger" / "outcomes.jsonl").read_text("utf-8").splitlines()
    assert sorted(json.loads(line)["outcome"] for line in lines) == sorted(results.runs["outcome"])
    assert set(results.evaluations["metric"]) == {"spread-gap"}


@pytest.mark.slow
@needs_builtins
def test_a_critic_is_measured_like_a_discriminator(results):
    critic = results.traces[results.traces["player"] == "critic"]
    assert critic[["real_accuracy", "fake_accuracy", "logit_gap"]].notna().all(axis=None)
    generator = results.traces[results.traces["player"] == "generator"]
    assert generator[["real_accuracy", "fake_accuracy", "logit_gap"]].isna().all(axis=None)


@pytest.mark.slow
@needs_builtins
def test_a_critic_saturates(results):
    plain = results.runs[results.runs["techniques"] == "plain"]
    assert len(plain) == 2
    assert set(plain["outcome"]) == {"saturated"}
    assert plain["reason"].str.contains("critic").all()
