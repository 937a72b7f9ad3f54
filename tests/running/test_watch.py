"""`ganbench watch`: what it reads, what it says, that it changes nothing."""

from __future__ import annotations

import json
import math
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from made_results import make
from run_cli import TOY, InlinePool, command, environment, files_below, ganbench_here
from toys import variant

from ganbench import load
from ganbench.cli.watch import metrics, picture
from ganbench.errors import BadInput
from ganbench.running import live
from ganbench.running.events import Evaluated, Finished, Progress, Started
from ganbench.running.watch import Follower
from ganbench.storage.atomic import write_json
from ganbench.storage.lock import FolderLock
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock, write_lock
from ganbench.text import drop_shared_start

STEPS = 1000
SMALL = ("--set", "matrix.techniques=[[]]", "--engine", "loop")


def key(stack: int, run: int) -> str:
    return f"{stack:04d}{run:04d}"


class Suite:
    """A folder of results of `stacks` stacks of two runs, none of them begun."""

    def __init__(self, root: Path, stacks: int = 2, label: str = "ring/gan/loss-{}/plain", failed=()):
        self.root, self.labels = root, [label.format(stack) for stack in range(stacks)]
        config = variant(steps=STEPS)
        keys = [key(stack, run) for stack in range(stacks) for run in range(2)]
        write_lock(root, {
            "suite": "small", "command": "ganbench run small", "failed": list(failed),
            "keys": keys + [row["key"] for row in failed],
            "labels": [name for name in self.labels for _ in range(2)] + [row["label"] for row in failed],
            "variants": [{"label": name, "config": config} for name in {*self.labels, "odd"}],
            "stacks": [
                {"keys": [key(stack, run) for run in range(2)], "seconds": 10.0} for stack in range(stacks)
            ],
            "compare": {"metric": "modes"},
        })  # fmt: skip
        self.folders = []
        for stack, name in enumerate(self.labels):
            folder = StackFolder.create(root, f"{stack:04d}", str(stack))
            folder.write_config({
                "label": name, "labels": [name] * 2, "seeds": [0, 1], "variants": [config] * 2,
                "keys": [key(stack, run) for run in range(2)],
                "engine": {"mapper": "map", "executor": "compiled"},
            })  # fmt: skip
            self.folders.append(folder)

    def end(self, stack: int, *outcomes: str, state: str = "finished") -> None:
        self.folders[stack].write_runs([
            {"key": key(stack, run), "variant": self.labels[stack], "seed": run, "outcome": outcome,
             "onset_step": None if outcome in ("finished", "crashed") else 300 + run,
             "steps": STEPS, "reason": "" if outcome == "finished" else f"{outcome} it has"}
            for run, outcome in enumerate(outcomes)
        ])  # fmt: skip
        self.folders[stack].write_status({"state": state, "step": STEPS, "steps": STEPS})

    def train(self, *stacks: int, step: int = 500, seconds: float = 10.0, **told) -> None:
        """live.json, as if these stacks had come to `step` in so many seconds."""
        now = time.time()
        one = {
            "step": step, "steps": STEPS, "from": 0, "since": now - seconds, "died": {}, "evaluated": 400,
            "metrics": {"energy": [0.1, 0.2, 0.3], "modes": [5, 6, 8]}, **told,
        }  # fmt: skip
        done = len(stacks) * 2 * step
        write_json(self.root / live.NAME, {
            "time": now, "began": now - seconds, "run_steps": done, "work": done * 10 / 2 / STEPS,
            "training": {self.folders[stack].path.name: one for stack in stacks},
        })  # fmt: skip

    def frame(self):
        return Follower(self.root).frame()


def watch(root, *args, columns=80):
    return ganbench_here("watch", root, *args, columns=columns)


def test_a_suite_in_training(tmp_path):
    odd = {"key": "odd", "label": "odd", "seed": 3, "outcome": "incompatible", "reason": "no fit"}
    suite = Suite(tmp_path, 4, failed=[odd])
    suite.end(0, "finished", "collapsed")
    with FolderLock(tmp_path):
        suite.train(1, died={"1": 77})
        frame = suite.frame()
        assert (frame.state, frame.suite, frame.runs, frame.ended) == ("training", "small", 9, 3)
        assert (frame.in_training, frame.waiting_stacks, frame.metric) == (2, 2, "modes")
        failures = {(f.outcome, f.variant, f.seed, f.step) for f in frame.failures}
        assert failures == {
            ("incompatible", "odd", 3, None),
            ("collapsed", suite.labels[0], 1, 301),
            ("diverged", suite.labels[1], 1, 77),
        }
        [one] = frame.training
        assert (one.label, one.runs, one.step, one.steps, one.evaluated) == (
            suite.labels[1],
            2,
            500,
            1000,
            400,
        )
        told = watch(tmp_path, columns=80)
    assert told.code == 0
    assert f"small: training (process {os.getpid()} on {socket.gethostname()})" in told.out
    assert "runs  3 of 9 ended, 2 in training, 4 waiting, 3 failed" in told.out
    assert "50%" in told.out
    assert "modes 6 (5 to 8)" in told.out
    assert "1 diverged" in told.out


def test_time_left_is_that_of_the_pace_so_far(tmp_path):
    """Of four equal stacks, a half took ten seconds: three and a half take 70."""
    suite = Suite(tmp_path, 4)
    with FolderLock(tmp_path):
        suite.train(0, step=500, seconds=10.0)
        frame = suite.frame()
        assert frame.seconds_left == pytest.approx(70, rel=0.01)
        assert frame.training[0].seconds_left == pytest.approx(10, rel=0.01)
        assert frame.run_steps_per_second == pytest.approx(100, rel=0.01)
        suite.train(0, 1, 2, 3, step=10, seconds=1.0)
        assert suite.frame().seconds_left == pytest.approx(99, rel=0.01), "all at once"
        suite.train(0, step=0)
        assert suite.frame().seconds_left is None


def test_a_dead_process_is_told_from_a_live_one(tmp_path):
    suite = Suite(tmp_path)
    suite.end(0, "finished", "finished")
    suite.folders[1].write_status({"state": "training", "step": 400, "steps": STEPS})
    suite.train(1)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock = tmp_path / ".ganbench.lock"
    lock.write_text(json.dumps({"pid": dead.pid, "born": "1", "host": socket.gethostname(), "token": "x"}))
    told = watch(tmp_path, columns=160)
    assert told.code == 0
    assert (
        f"small: process {dead.pid} on {socket.gethostname()} was killed; `ganbench run small` goes on"
        in told.out
    )
    assert "runs  2 of 4 ended, 0 failed" in told.out
    assert lock.exists(), "it only looks"
    lock.unlink()
    assert "small: interrupted; `ganbench run small` goes on" in watch(tmp_path).out
    assert suite.frame().training == []


def test_a_suite_that_ended(tmp_path):
    suite = Suite(tmp_path)
    suite.end(0, "finished", "collapsed")
    suite.end(1, "crashed", "crashed", state="crashed")
    told = watch(tmp_path)
    assert told.code == 0
    assert "small: ended, every run has its outcome" in told.out
    assert "runs  4 of 4 ended, 3 failed (2 crashed, 1 collapsed)" in told.out


def test_crashed_runs_that_train_again_have_not_ended(tmp_path):
    suite = Suite(tmp_path, 1)
    suite.end(0, "crashed", "crashed", state="crashed")
    follower = Follower(tmp_path)
    with FolderLock(tmp_path):
        assert follower.frame().ended == 2
        suite.folders[0].write_status({"state": "training", "step": 0, "steps": STEPS})
        frame = follower.frame()
        assert (frame.ended, frame.failures) == (0, [])
        suite.end(0, "finished", "finished")
        assert (follower.frame().ended, follower.frame().failures) == (2, [])


def test_a_stack_that_was_split_counts_by_its_halves(tmp_path):
    suite = Suite(tmp_path, 1)
    suite.folders[0].write_status({"state": "split"})
    config = suite.folders[0].config()
    for run in range(2):
        half = StackFolder.create(tmp_path, "half", str(run))
        half.write_config({k: v[run : run + 1] if isinstance(v, list) else v for k, v in config.items()})
    frame = suite.frame()
    assert (frame.ended, frame.waiting_stacks, frame.state) == (0, 2, "stopped")


def test_what_has_ended_is_read_once(tmp_path):
    suite = Suite(tmp_path, 3)
    suite.end(0, "finished", "finished")
    suite.end(1, "finished", "finished")
    suite.folders[2].write_status({"state": "training"})
    follower = Follower(tmp_path)
    follower.frame()
    with mock.patch.object(StackFolder, "table") as table, mock.patch.object(StackFolder, "config") as config:
        assert follower.frame().ended == 4
        table.assert_not_called()
        config.assert_not_called()


def test_it_reads_what_is_half_there_and_changes_nothing(tmp_path):
    suite = Suite(tmp_path, 5)
    for stack in range(3):
        suite.end(stack, "finished", "finished")
    (suite.folders[0].path / "runs.parquet").write_bytes(b"PAR1half")
    (suite.folders[1].path / "status.json").write_text('{"state": "fin')
    (suite.folders[3].path / "config.json").unlink()
    (tmp_path / "stacks" / "stray").write_text("a file")
    (tmp_path / live.NAME).write_text("")
    before = files_below(tmp_path)
    frame = suite.frame()
    assert frame.ended == 4
    assert watch(tmp_path).code == 0
    assert files_below(tmp_path) == before


def test_a_stack_whose_status_is_lost_has_ended_as_the_report_has_it(tmp_path):
    """Its rows are there; both say so, and which file cannot be read."""
    make(tmp_path, 2, 3, outcomes=[{}], trace_steps=0)
    write_lock(tmp_path, {**json.loads((tmp_path / "suite.lock.json").read_text()), "stacks": []})
    for damage in (lambda path: path.write_text('{"state": "fin'), lambda path: path.unlink()):
        status = stack_folders(tmp_path)[0].path / "status.json"
        damage(status)
        follower = Follower(tmp_path)
        for frame in (follower.frame(), follower.frame()):
            assert (frame.state, frame.ended) == ("finished", len(load(tmp_path).runs)) == ("finished", 6)
        told = f"{status} cannot be read and counts as absent"
        expected = status.exists()
        assert [text.startswith(told) for text in frame.warnings] == [True] * expected
        results = load(tmp_path)
        assert len(results.runs) == 6
        assert [text.startswith(told) for text in results.warnings] == [True] * expected
        shown = " ".join(watch(tmp_path, columns=400).out.split())
        assert (f"warning: {told}" in shown) == expected
        assert watch(tmp_path, "--json").json()["warnings"] == list(frame.warnings)


def test_a_stack_without_rows_whose_status_is_lost_is_still_to_train(tmp_path):
    suite = Suite(tmp_path, 2)
    suite.end(0, "finished", "finished")
    (suite.folders[1].path / "status.json").write_text("{")
    follower = Follower(tmp_path)
    for frame in (follower.frame(), follower.frame()):
        assert (frame.state, frame.ended, frame.waiting_stacks) == ("stopped", 2, 1)
    suite.end(1, "finished", "diverged")
    (suite.folders[1].path / "status.json").write_text("{")
    assert follower.frame().ended == 4


def test_warnings_leave_room_for_the_rest(tmp_path):
    suite = Suite(tmp_path, 30)
    for stack in range(5):
        suite.end(stack, "finished", "collapsed")
        (suite.folders[stack].path / "status.json").write_text("{")
    with FolderLock(tmp_path):
        suite.train(*range(5, 30))
        told = lines(suite.frame(), 80, 24)
    assert len(told) <= 24
    assert max(map(len, told)) <= 80
    [warning] = [line for line in told if "warning" in line]
    assert warning.startswith("5 warnings, such as warning: ")


def test_folders_that_vanish_meanwhile(tmp_path):
    suite = Suite(tmp_path, 2)
    entry = mock.Mock(path=str(suite.folders[0].path), stat=mock.Mock(side_effect=FileNotFoundError))
    entry.name = suite.folders[0].path.name
    with mock.patch("ganbench.running.watch.os.scandir", return_value=[entry]):
        assert suite.frame().ended == 0


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("nothing", "there is nothing yet"),
        ("folder", "holds no suite: there is no suite.lock.json"),
        ("file", "is a file, not a folder of results"),
        ("older", "was written by another version of ganbench"),
    ],
)
def test_what_cannot_be_watched(tmp_path, made, told):
    root = tmp_path / "there"
    if made == "file":
        root.write_text("")
    elif made != "nothing":
        root.mkdir()
    if made == "older":
        write_lock(root, {"suite": "small"})
    done = watch(root, "--once")
    assert done.code == 2
    assert told in done.err
    assert str(root) in done.err
    assert len(done.err.splitlines()) == 1


def test_a_folder_that_is_just_being_made_is_waited_for(tmp_path):
    assert Follower(tmp_path / "later").frame().state == "absent"
    with FolderLock(tmp_path):
        assert Follower(tmp_path).frame().state == "absent"
    with pytest.raises(BadInput):
        Follower(tmp_path).frame()


def lines(frame, width, height):
    from rich.console import Console

    console = Console(width=width, height=height, force_terminal=False, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.capture() as captured:
        console.print(picture(frame, width, height))
    console.file.close()
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height", "rows"), [(80, 24, 8), (160, 40, 20), (40, 12, 3)])
def test_the_live_view_fits_the_terminal(tmp_path, width, height, rows):
    suite = Suite(tmp_path, 140, label="a-long-dataset/a-model/a-loss-{}/technique+another-technique+a-third")
    for stack in range(20):
        suite.end(stack, "diverged", "collapsed")
    with FolderLock(tmp_path):
        suite.train(*range(20, 130))
        frame = suite.frame()
    told = lines(frame, width, height)
    assert len(told) <= height
    assert max(map(len, told)) <= width
    shown = sum("50%" in line or "500 of 1,000" in line for line in told)
    assert shown == rows
    assert any(line.startswith(f"and {110 - shown} more stacks in training") for line in told)
    hidden = 40 - sum(line.startswith("1 ") for line in told)
    assert any(f"and {hidden} more failed runs" in line for line in told)
    if width >= 80:
        assert any("loss-20" in line for line in told)
    everything = lines(frame, width, None)
    assert sum("50%" in line or "500 of 1,000" in line for line in everything) == 110


def test_names_cannot_reach_the_terminal(tmp_path):
    suite = Suite(tmp_path, 2, label="[red]ring\x1b]0;gone\x07/{}\u202e")
    suite.end(0, "collapsed", "finished")
    with FolderLock(tmp_path):
        suite.train(1, metrics={"[bold]m\x1b": [1, 1, 1]})
        out = watch(tmp_path, columns=160).out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert "[red]ring" in out
    assert "[bold]m" in out


def test_json_is_all_of_it(tmp_path):
    suite = Suite(tmp_path)
    suite.end(0, "finished", "diverged")
    with FolderLock(tmp_path):
        suite.train(1, metrics={"kl": [0.0, 1.0, math.inf]})
        told = watch(tmp_path, "--json").json()
    assert (told["state"], told["runs"], told["ended"]) == ("training", 4, 2)
    assert told["training"][0]["metrics"] == {"kl": [0.0, 1.0, None]}
    assert told["failures"] == [
        {
            "outcome": "diverged",
            "variant": suite.labels[0],
            "seed": 1,
            "step": 301,
            "reason": "diverged it has",
        }
    ]


def test_metrics_and_labels_in_short():
    assert metrics({"fid": [3, 4, 5.25], "modes": [8, 8, 8], "kl": [0, 1, None]}, "modes", 3) == (
        "modes 8, fid 4 (3 to 5.25), kl 1 (0 to ?)"
    )
    assert metrics({"fid": [3, 4, 5], "modes": [8, 8, 8]}, "modes", 1) == "modes 8"
    assert drop_shared_start(["ring/gan/hinge/plain", "ring/gan/hinge/r1"]) == ["plain", "r1"]
    assert drop_shared_start(["ring/gan", "ring/gan"]) == ["gan", "gan"]
    assert drop_shared_start(["ring/gan/hinge"]) == ["ring/gan/hinge"]
    assert drop_shared_start([]) == []


class Looking(InlinePool):
    """Looks at the folder at every event."""

    frames: list = []

    def train(self, paths):
        root = Path(paths[0]).parents[1]
        follower = Follower(root)
        for event in super().train(paths):
            yield event
            self.frames.append((event, follower.frame()))


def test_a_session_shows_what_it_does(tmp_path):
    """Each frame is of the moment just after its event. (Trained here: rows are on disk before.)"""
    Looking.frames = []
    with (
        mock.patch.object(live, "SECONDS", 0.0),
        mock.patch("ganbench.engine.train.PROGRESS_SECONDS", 0.0),
        mock.patch("ganbench.report.write_report", return_value=[Path("report.html")]),
    ):
        done = ganbench_here("run", TOY, *SMALL, "--workers", 1, "--out", tmp_path, pool=Looking)
    assert done.code == 0
    assert {frame.state for _, frame in Looking.frames} == {"training"}
    assert [frame.ended for event, frame in Looking.frames if isinstance(event, Finished)] == [2, 4]
    assert not (tmp_path / live.NAME).exists()
    ended = Follower(tmp_path).frame()
    assert (ended.state, ended.runs, ended.ended) == ("finished", 4, 4)
    rows = [row for folder in stack_folders(tmp_path) for row in folder.runs().to_dict("records")]
    failed = {(row["variant"], row["seed"], row["outcome"]) for row in rows if row["outcome"] != "finished"}
    assert {(one.variant, one.seed, one.outcome) for one in ended.failures} == failed


def events(live_file, config):
    """A stack of two runs that begins at step 100, comes to 400, and ends at 1,000."""

    def tell(event):
        live_file.event(event, config)

    yield tell(Started("s", 100, 1000))
    yield tell(Progress("s", 300, 1000, died=[0, 250]))
    rows = [
        {"run": run, "metric": metric, "value": value, "weights": weights}
        for run, metric, value, weights in (
            (0, "fid", 3.0, "raw"), (1, "fid", math.inf, "raw"), (0, "fid", 1.0, "ema"),
            (0, "kl", math.nan, "raw"), (1, "kl", "high", "raw"),
        )
    ]  # fmt: skip
    yield tell(Evaluated("s", 400, rows))
    yield tell(Finished("s", [{"steps": 1000}, {"steps": 250}]))


def test_live_json_counts_steps_and_work(tmp_path):
    suite = Suite(tmp_path, 1)
    config = suite.folders[0].config()
    lock = json.loads((tmp_path / "suite.lock.json").read_text())
    told = []
    with mock.patch.object(live, "SECONDS", 0.0):
        file = live.Live(tmp_path, lock)
        told = [json.loads((tmp_path / live.NAME).read_text()) for _ in events(file, config)]
    assert [one["run_steps"] for one in told] == [0, 400, 600, 1800]
    np.testing.assert_allclose([one["work"] for one in told], np.array([0, 400, 600, 1800]) * 10 / 2000)
    assert told[1]["training"]["s"]["died"] == {"1": 250}
    assert told[2]["training"]["s"]["metrics"] == {"fid": [3.0, None, None]}
    assert told[2]["training"]["s"]["evaluated"] == 400
    assert told[3]["training"] == {}
    file.close()
    assert not (tmp_path / live.NAME).exists()


def test_live_json_is_written_now_and_then(tmp_path):
    suite = Suite(tmp_path, 1)
    file = live.Live(tmp_path, json.loads((tmp_path / "suite.lock.json").read_text()))
    with mock.patch.object(live, "write_json", side_effect=OSError) as write:
        list(events(file, suite.folders[0].config()))
    assert write.call_count == 2, "when a stack begins and when it ends; a full disk is no error"


def test_costs_are_shared_by_a_stacks_runs():
    suite = {
        "keys": ["a", "b", "c", "d"], "labels": ["x", "x", "x", "y"],
        "variants": [{"label": "x", "config": {"steps": 100}}, {"label": "y", "config": {"steps": 10}}],
        "stacks": [{"keys": ["a", "b"], "seconds": 20.0}, {"keys": ["d"], "seconds": 3.0}],
    }  # fmt: skip
    assert live.costs(suite) == pytest.approx({"a": 0.1, "b": 0.1, "c": (0.1 + 0.1 + 0.3) / 3, "d": 0.3})
    assert set(live.costs({**suite, "stacks": []}).values()) == {1.0}


class Terminal:
    """`ganbench watch` in a terminal of its own."""

    def __init__(self, *args):
        ours, theirs = pty.openpty()
        self.pipe, self.seen = ours, b""
        self.process = subprocess.Popen(
            command("watch", *args), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment(TERM="xterm", COLUMNS="80", LINES="24"),
        )  # fmt: skip
        os.close(theirs)

    def until(self, text: str, seconds: float = 30) -> bool:
        deadline = time.monotonic() + seconds
        while text.encode() not in self.seen and time.monotonic() < deadline:
            if select.select([self.pipe], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.pipe, 65536)
                except OSError:  # it ended
                    break
        return text.encode() in self.seen

    def end(self) -> int:
        self.until("\0", 0.5)
        code = self.process.wait(20)
        os.close(self.pipe)
        return code


def test_in_a_terminal_it_waits_follows_and_ends_with_the_suite(tmp_path):
    terminal = Terminal(tmp_path / "out", "--interval", "0.1")
    assert terminal.until("waiting")  # a long folder breaks the line before or after it
    with FolderLock(tmp_path / "out"):
        suite = Suite(tmp_path / "out")
        suite.train(0)
        assert terminal.until("small: training")
        suite.end(0, "finished", "finished")
        suite.end(1, "diverged", "finished")
    assert terminal.until("small: ended, every run has its outcome")
    assert terminal.end() == 0


def test_ctrl_c_ends_it_quietly(tmp_path):
    suite = Suite(tmp_path)
    with FolderLock(tmp_path):
        suite.train(0)
        terminal = Terminal(tmp_path)
        assert terminal.until("small: training")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    assert b"Traceback" not in terminal.seen
    assert b"error" not in terminal.seen


def test_watch_imports_no_torch(tmp_path):
    Suite(tmp_path)
    code = "import sys; from ganbench.cli import cli; cli(['watch', sys.argv[1]], standalone_mode=False)"
    code += "; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)


def test_what_is_not_trained_as_planned(tmp_path):
    suite = Suite(tmp_path, 3)
    told = live.Live(tmp_path, read_lock(tmp_path))
    other = {"mapper": "loop", "executor": "eager", "planned": "compiled", "why": "no compiler"}
    with FolderLock(tmp_path):
        for folder in suite.folders[1:]:
            told.event(Started(folder.path.name, 0, STEPS), {**folder.config(), "engine": other})
        told.event(Started(suite.folders[0].path.name, 0, STEPS), suite.folders[0].config())
        sentence = "2 stacks are trained by loop, not by compiled as planned: no compiler"
        assert list(suite.frame().warnings) == [sentence]
        assert f"warning: {sentence}" in " ".join(watch(tmp_path).out.split())
        told.close()
        assert not suite.frame().warnings
