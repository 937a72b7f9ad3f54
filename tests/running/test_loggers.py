"""Loggers: chosen on the command line, told of everything in order, and no harm where one breaks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from unittest import mock

import pytest
from run_cli import TOY, InlinePool, assert_same_rows, ganbench_here, rows

import ganbench
from ganbench.errors import BadInput
from ganbench.plugins.discovery import discover
from ganbench.running import loggers
from ganbench.running.events import Finished

PLUGIN = '''
"""Loggers for tests."""
from dataclasses import dataclass, field
from functools import cached_property
import json, time
import ganbench


def recorder(method):
    def told(self, *arguments):
        with open(self.path, "a") as file:
            file.write(json.dumps([self.word, method, *arguments], default=str) + "\\n")
        if method == self.breaks:
            raise RuntimeError("oh\\x1b[31m")
        if method == self.sleeps:
            time.sleep(5)
        print("a logger speaks")
    return told


@dataclass(frozen=True)
class Recorder(ganbench.Logger):
    """Writes down what it is told (Tester 2026)."""
    name = "recorder"
    path: str = ""
    word: str = ""
    breaks: str = ""
    sleeps: str = ""
    counts: tuple[int, ...] = ()
    opened, started, evaluated, finished, closed = map(
        recorder, ("opened", "started", "evaluated", "finished", "closed")
    )


@dataclass(frozen=True)
class Absent(ganbench.Logger):
    """Needs what is not there (Tester 2026)."""
    name = "absent"

    def available(self):
        return "the logger 'absent' needs the package nowhere: pip install 'ganbench[absent]'"


@ganbench.hookimpl
def ganbench_loggers():
    return [Recorder, Absent]
'''
SMALL = ("--set", 'matrix.loss=["toy-loss"]', "--engine", "loop")


@pytest.fixture(autouse=True, scope="module")
def _no_report():
    """Reports take longer than these suites."""
    with mock.patch("ganbench.report.write_report", return_value=[Path("report.html")]):
        yield


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "recording.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """Rows of a session without loggers."""
    out = tmp_path_factory.mktemp("silent")
    assert ganbench_here("run", TOY, *SMALL, "--out", out).code == 0
    return rows(out)


@pytest.fixture
def run(plugin, tmp_path):
    """Trains the toy suite with a recorder of these options; gives how it ended and what was told."""

    def run(*options: str, args=(), pool=InlinePool):
        log = tmp_path / "log.jsonl"
        given = [f"recorder:path={log}" + (f",{option}" if option else "") for option in options]
        logs = [word for text in given for word in ("--log", text)]
        done = ganbench_here(
            "run", TOY, *SMALL, "--out", tmp_path / "out", "--plugin", plugin, *logs, *args, pool=pool
        )
        return done, [json.loads(line) for line in log.read_text().splitlines()]

    return run


def methods(told):
    return [method for _, method, *_ in told]


def test_a_logger_is_told_everything_in_order(run, tmp_path):
    done, told = run("")
    assert done.code == 0
    assert methods(told) == [
        "opened",
        *["started", *["evaluated"] * 3, "finished"] * 2,
        "closed",
    ]
    results = ganbench.load(tmp_path / "out")
    root, suite = told[0][2:]
    assert Path(root) == tmp_path / "out"
    assert suite == json.loads((tmp_path / "out" / "suite.lock.json").read_text())
    stack = told[1][2]
    assert set(stack["keys"]) <= set(results.runs["key"])
    assert [config["loss"]["name"] for config in stack["configs"]] == ["toy-loss"] * 2
    assert (stack["step"], stack["steps"], stack["seeds"], stack["swept"]) == (0, 70, [0, 1], [{}, {}])
    values = {
        (stack["keys"][row["run"]], step, row["metric"]): row["value"]
        for _, method, *rest in told
        if method == "evaluated"
        for stack, step, rows in [rest]
        for row in rows
    }
    recorded = results.evaluations.set_index(["key", "step", "metric"])["value"].to_dict()
    assert values == recorded
    ended = [row for _, method, *rest in told if method == "finished" for row in rest[1]]
    assert {row["key"]: row["outcome"] for row in ended} == dict(
        zip(results.runs["key"], results.runs["outcome"], strict=True)
    )


@pytest.mark.parametrize("method", ["opened", "started", "evaluated", "finished", "closed"])
def test_a_logger_that_raises_is_warned_of_once_and_changes_nothing(run, silent, tmp_path, method):
    done, told = run(f"breaks={method}")
    assert done.code == 0
    assert done.err.count("raised in") == 1
    assert f"warning: the logger 'recorder' raised in {method}: RuntimeError: oh\\x1b[31m" in done.err
    assert methods(told)[-1] == "closed"
    assert len(told) == 12
    assert_same_rows(silent, rows(tmp_path / "out"))


def test_a_logger_that_raises_keeps_nothing_from_the_others(run):
    _, told = run("word=one,breaks=opened", "word=two")
    assert [line[0] for line in told].count("two") == 12


def test_a_slow_logger_holds_up_nothing(run, silent, tmp_path):
    with mock.patch.object(loggers, "CLOSE_SECONDS", 0.2):
        begun = time.monotonic()
        done, _ = run("sleeps=opened")
        assert time.monotonic() - begun < 4.5
    assert done.code == 0
    assert "warning: the logger 'recorder' is too slow: calls that it has not handled are dropped" in done.err
    assert_same_rows(silent, rows(tmp_path / "out"))


class Interrupted(InlinePool):
    """Ctrl-C after the first stack."""

    def train(self, paths):
        for event in super().train(paths):
            yield event
            if isinstance(event, Finished):
                raise KeyboardInterrupt

    def stop(self):
        return iter(())


def test_it_is_closed_after_ctrl_c_and_goes_on(run):
    done, told = run("", pool=Interrupted)
    assert done.code == 130
    assert methods(told) == ["opened", "started", *["evaluated"] * 3, "finished", "closed"]
    done, told = run("")
    assert done.code == 0
    assert methods(told)[7:] == ["opened", "started", *["evaluated"] * 3, "finished", "closed"]


def test_what_a_logger_prints_does_not_mix_with_the_table(run):
    done, _ = run("", args=["--json"])
    assert len(done.json()) == 2
    assert "a logger speaks" in done.err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("recordr", "unknown logger 'recordr'; did you mean 'recorder'?"),
        ("recorder:pat=x", "recorder:pat=x.pat: unknown option; did you mean 'path'?"),
        ("recorder:path", "must look like NAME or NAME:option=value,option=value"),
        ("recorder:counts=[1,a]", "counts"),
        ("absent", "the logger 'absent' needs the package nowhere: pip install 'ganbench[absent]'"),
        ("record\x1b[31m", "\\x1b[31m"),
    ],
)
def test_what_cannot_be_used_is_told_before_training(plugin, tmp_path, given, told):
    done = ganbench_here("run", TOY, "--out", tmp_path / "out", "--plugin", plugin, "--log", given)
    assert done.code == 2
    assert told in done.err
    assert done.err.startswith("error: --log ")
    assert len(done.err.splitlines()) == 1
    assert "\x1b" not in done.err
    assert not (tmp_path / "out").exists()


def test_options_are_those_of_the_component(plugin):
    catalogue = discover([plugin])
    given = ["recorder:path=http://host:5000/a=b, word=one two,counts=[1,2],breaks=x", "recorder"]
    one, other = loggers.chosen(given, catalogue)
    assert (one.path, one.word, one.counts, one.breaks) == ("http://host:5000/a=b", "one two", (1, 2), "x")
    assert other == type(one)()
    with pytest.raises(BadInput, match="word"):
        loggers.chosen(["recorder:word=3"], catalogue)


def test_plugins_list_and_show_them(plugin):
    assert "recorder" in ganbench_here("plugins", "list", "--plugin", plugin).out.partition("loggers\n")[2]
    shown = ganbench_here("plugins", "show", "recorder", "--plugin", plugin, "--json").json()[0]
    assert (shown["kind"], shown["options"][0]["sweepable"]) == ("logger", False)
