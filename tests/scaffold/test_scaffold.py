"""`ganbench plugins new`: what it writes is complete, sound, and nothing of anybody else's is touched."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import util
from pathlib import Path
from unittest import mock

import pytest
from run_cli import files_below, ganbench_here, needs_builtins

import ganbench
from ganbench.components.kinds import KINDS as COMPONENTS
from ganbench.plugins import discovery
from ganbench.scaffold import KINDS, NewPlugin
from ganbench.suites.load import load_suite

pytestmark = needs_builtins
EVERYTHING = """
schema = 1
name = "everything"

[defaults]
dataset = "new-dataset"
model = "new-model"
loss = "new-loss"
steps = 6
batch = 8
seeds = 2
optimizer = { name = "adam", lr = 1e-3 }
evaluate = { every = 3, samples = 40, metrics = ["new-metric", "fid"] }

[matrix]
techniques = [[], ["new-technique"]]

[options.new-dataset]
size = 100

[options.fid]
extractor = "new-extractor"
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, tuple[NewPlugin, Path]]:
    """Kind -> what was written by the command line, and where."""
    parent = tmp_path_factory.mktemp("new")
    for kind in KINDS:
        done = ganbench_here("plugins", "new", kind, f"new-{kind}", "--dir", parent)
        assert (done.code, done.err) == (0, "")
    return {kind: (NewPlugin(kind, f"new-{kind}"), parent / f"new-{kind}") for kind in KINDS}


@pytest.fixture(scope="module")
def catalogue(written) -> discovery.Catalogue:
    return discovery.discover(sources(written))


def sources(written) -> list[Path]:
    return [folder / new.source for kind, (new, folder) in written.items() if kind != "suite"]


def test_there_is_one_of_every_kind():
    assert set(KINDS) == {*COMPONENTS, "suite"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_complete(kind, written):
    new, folder = written[kind]
    assert files_below(folder).keys() == new.files.keys()
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["name"] == f"ganbench-new-{kind}"
    assert project["project"]["entry-points"]["ganbench"] == {f"new-{kind}": f"ganbench_new_{kind}"}
    assert {"README.md", "pyproject.toml", f"tests/test_new_{kind}.py", new.suite} <= new.files.keys()
    assert not [path for path, text in new.files.items() if "{{" in text or "{%" in text]


@pytest.mark.skipif(util.find_spec("ruff") is None, reason="ruff is not installed")
def test_new_plugins_pass_ruff(written):
    [parent] = {folder.parent for _, folder in written.values()}
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
            cwd=parent,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_all_are_found_and_documented(catalogue):
    assert catalogue.failures == []
    for kind in COMPONENTS:
        registered = catalogue.components[kind][f"new-{kind}"]
        assert registered.cls.__dataclass_fields__  # type: ignore[attr-defined]
        assert "(" in registered.summary  # its source


def metrics(suite):
    return suite.variants[0].config["evaluate"]["metrics"]


@pytest.mark.parametrize("kind", KINDS)
def test_its_suite_is_sound(kind, written, catalogue):
    new, folder = written[kind]
    suite = load_suite(folder / new.suite, catalogue)
    assert suite.name == new.name
    assert not any(variant.unavailable for variant in suite.variants)
    assert suite.compare["baseline"]
    assert suite.compare["metric"] in {entry["name"] for entry in metrics(suite)}


def test_all_of_them_train_together(written, tmp_path):
    (tmp_path / "everything.toml").write_text(EVERYTHING)
    files = [argument for file in sources(written) for argument in ("--plugin", file)]
    how = ["--engine", "new-executor", "--log", "new-logger", "--workers", "1", "--device", "cpu", "--json"]
    with mock.patch("ganbench.report.write_report"):
        done = ganbench_here("run", tmp_path / "everything.toml", *files, *how, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    results = ganbench.load(tmp_path / "out")
    assert set(results.runs["outcome"]) == {"finished"}
    assert set(results.runs["executor"]) == {"new-executor"}
    assert set(results.evaluations["metric"]) == {"new-metric", "fid"}
    told = (tmp_path / "out" / "new-logger.jsonl").read_text("utf-8").splitlines()
    assert len(told) == 4 * 3 * 2 + 4


@pytest.mark.parametrize("kind", sorted(set(COMPONENTS) - {"executor"}))
def test_each_passes_the_kit(kind, catalogue):
    testing = pytest.importorskip("ganbench.testing")
    findings = testing.check(catalogue.components[kind][f"new-{kind}"].cls)
    assert findings
    assert [finding for finding in findings if not finding.ok] == []


BAD = {
    "no kind at all": (("xyz", "mine"), "unknown kind 'xyz'; choose from model, loss, technique, dataset"),
    "a kind that is not": (("lose", "mine"), "unknown kind 'lose'; did you mean 'loss'?"),
    "capitals": (("loss", "MyLoss"), "such as 'my-loss'"),
    "underscores": (("loss", "my_loss"), "such as 'my-loss'"),
    "digits first": (("loss", "2fast"), "such as 'fast'"),
    "a path": (("loss", "../evil"), "such as 'evil'"),
    "nothing": (("loss", ""), "cannot be the name"),
    "terminal": (("loss", "\x1b[31m"), "cannot be the name"),
    "too long": (("loss", "a" * 50), "at most 40"),
    "keyword": (("loss", "class"), "it is a Python keyword"),
    "capitalised keyword": (("loss", "none"), "it is a Python keyword"),
    "hides an import": (("loss", "f"), "would hide an import"),
    "taken": (("loss", "hinge"), "the loss name 'hinge' is taken by ganbench"),
    "suite taken": (("suite", "ring8"), "the suite name 'ring8' is taken"),
    "module taken": (("loss", "builtin"), "a module 'ganbench_builtin' is installed already"),
}


@pytest.mark.parametrize("case", BAD)
def test_names_that_cannot_be(case, tmp_path):
    arguments, told = BAD[case]
    done = ganbench_here("plugins", "new", *arguments, "--dir", tmp_path)
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert told in line
    assert "\x1b" not in line
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_not_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").write_text("kept")
    for parent, told in ((tmp_path, "mine: exists already"), (tmp_path / "file", "file: exists already")):
        done = ganbench_here("plugins", "new", "loss", "mine", "--dir", parent)
        assert done.code == 2
        [line] = done.err.splitlines()
        assert told in line
    assert files_below(tmp_path) == {"file": b"kept"}
