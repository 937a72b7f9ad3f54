"""The way of a suite: each file is read once, plugins are discovered once, each component is made once."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from run_cli import TOY, needs_builtins
from suite_parts import Damp, Duel

from ganbench.cli.options import Request
from ganbench.components import instances
from ganbench.components.base import create
from ganbench.components.instances import Instances
from ganbench.errors import BadInput
from ganbench.planning.choice import Settings
from ganbench.planning.plan import make_plan
from ganbench.plugins import discovery
from ganbench.suites.load import load_suite

RING8 = Path(__file__).parents[2] / "benchmarks" / "ring8.toml"
LOOP = Settings("cpu", "loop", 1)


@pytest.fixture
def calls(monkeypatch):
    """Counts of what is read, parsed and made. Programs, sources and keys may make nothing on their own."""
    counts = {"read": Counter(), "parsed": Counter(), "made": Counter()}
    read, loads = Path.read_bytes, tomllib.loads

    def counted(cls, options, where=""):
        component = create(cls, options, where)
        counts["made"][cls, json.dumps(dict(options), sort_keys=True)] += 1
        return component

    def counted_read(path):
        counts["read"][path.name] += path.suffix == ".toml"
        return read(path)

    def counted_loads(text):
        counts["parsed"][text] += 1
        return loads(text)

    monkeypatch.setattr(Path, "read_bytes", counted_read)
    monkeypatch.setattr(tomllib, "loads", counted_loads)
    monkeypatch.setattr(instances, "create", counted)
    for module in ("engine.program", "engine.data", "engine.extractors", "planning.run_key"):
        monkeypatch.setattr(f"ganbench.{module}.create", counted)
    return counts


def once(counts: Counter) -> bool:
    return bool(counts) and set(counts.values()) == {1}


@needs_builtins
def test_a_suite_is_read_once_and_its_components_are_made_once(builtins, calls):
    suite = load_suite(RING8, builtins)
    assert len(suite.variants) == 5 * 10
    assert +calls["read"] == Counter({"ring8.toml": 1})
    assert len(calls["parsed"]) == 1
    assert once(calls["parsed"])
    assert once(calls["made"])
    made = Counter(cls.kind for cls, _ in calls["made"] if hasattr(cls, "kind"))
    assert made == {"dataset": 1, "model": 1, "loss": 5, "technique": 5 + 4, "metric": 2, "optimizer": 1}


@needs_builtins
def test_planning_makes_no_component_again(builtins, calls, tmp_path):
    how = [
        "matrix.loss=['non-saturating', 'wasserstein']",
        "matrix.techniques=[[], ['r1']]",
        "defaults.batch=8",
    ]
    suite = load_suite(RING8, builtins, overrides=how, seeds=1)
    before = dict(calls["made"])
    plan = make_plan(suite, builtins, tmp_path, LOOP)
    assert len(plan.runs) == 2 * 6
    assert dict(calls["made"]) == before


def test_planning_builds_each_variant_once(toys, tmp_path):
    from ganbench.planning import plan

    suite = load_suite(TOY, toys)
    with mock.patch.object(plan, "Program", wraps=plan.Program) as program:
        made = make_plan(suite, toys, tmp_path, LOOP)
    assert made.stacks
    assert program.call_count == len(suite.variants)


def test_a_suite_that_names_a_plugin_is_read_once_and_plugins_are_discovered_once(calls, tmp_path):
    (tmp_path / "loads.txt").touch()
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\n"
        "with Path(__file__).with_name('loads.txt').open('a') as file:\n    file.write('x')\n"
    )
    path = tmp_path / "suite.toml"
    path.write_text(TOY.read_text("utf-8").replace("../../toys.py", "mine.py"))
    toys = str(Path(__file__).parents[1] / "toys.py")
    request = Request(str(path), None, None, "cpu", "loop", 1, tmp_path / "out", (), (toys,))
    with (
        mock.patch.object(discovery, "_entry_points", return_value=[]),
        mock.patch.object(discovery, "discover", wraps=discovery.discover) as discover,
    ):
        job = request.resolve()
    assert discover.call_count == 1
    assert calls["read"]["suite.toml"] == 1
    assert once(calls["parsed"])
    assert (tmp_path / "loads.txt").read_text() == "x"
    assert job.plugin_files == [toys, str(tmp_path / "mine.py")]
    assert {"toys", "mine"} <= job.catalogue.plugins.keys()
    assert job.suite.variants


def test_a_component_is_shared_by_all_who_write_the_same():
    made = Instances()
    plain = made.create(Duel, {})
    assert made.create(Duel, {"slope": 0.2}) is made.create(Duel, {"hidden": [4]}) is plain
    assert made.create(Duel, {"slope": 0.3}) is not plain
    assert made.create(Damp, {}) is not plain


def test_bad_options_are_reported_at_each_place():
    made = Instances()
    for where in ("options.damp", "matrix.include.0.options.damp"):
        component, [problem] = made.attempt(Damp, {"gamma": -1.0}, where)
        assert component is None
        assert problem.where == f"{where}.gamma"
        with pytest.raises(BadInput, match=where):
            made.create(Damp, {"gamma": -1.0}, where)


def test_run_keys_need_no_torch():
    code = "import sys, ganbench.planning.run_key; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_finished_is_not_measured(toys, tmp_path):
    from ganbench.planning import cost

    suite = load_suite(TOY, toys)
    made = make_plan(suite, toys, tmp_path, LOOP)
    with (
        mock.patch("ganbench.planning.plan.finished_keys", return_value=[run.key for run in made.runs]),
        mock.patch(
            "ganbench.planning.plan.stack_folders", return_value=[mock.Mock(**{"config.return_value": {}})]
        ),
        mock.patch.object(cost, "measure") as measure,
    ):
        again = make_plan(suite, toys, tmp_path, LOOP)
    assert (again.cached, again.stacks) == (8, [])
    assert not measure.called
