from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbench.errors import BadInput
from ganbench.storage.lock import FolderLock
from ganbench.storage.schema import EVALS
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock, write_lock
from ganbench.text import slug

HOSTILE = [
    "../../x",
    "<script>alert(1)</script>",
    "😀😀",
    "x" * 300,
    "\u202eمرحبا",
    "CON",
    "",
    "a\x00b\n",
    "\ud800",
]


@pytest.fixture
def stack(tmp_path: Path) -> StackFolder:
    return StackFolder.create(tmp_path, "ring/mlp-gan/hinge", "identity")


def probes(
    first: int, last: int, players: tuple[str, ...] = ("discriminator", "generator")
) -> dict[str, np.ndarray]:
    steps = np.repeat(np.arange(first, last + 1), len(players))
    return {
        "run": np.zeros(len(steps), np.int32),
        "step": steps,
        "player": np.tile(np.array(players, dtype=object), last + 1 - first),
        "loss": (steps / 7).astype(np.float32),
    }


def run_row(**extra: object) -> dict[str, object]:
    return {
        "key": "k0",
        "variant": "v",
        "seed": 0,
        "outcome": "finished",
        "steps": 5,
        "seconds": 1.5,
        **extra,
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_make_plain_folders(tmp_path, name):
    folder = StackFolder.create(tmp_path, name, name)
    assert folder.path.parent == tmp_path / "stacks"
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{12}", folder.path.name)
    assert len(folder.path.name) <= 80


@given(st.text())
def test_slug_is_always_a_plain_name(text):
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?", slug(text))


def test_the_identity_decides_the_folder(tmp_path):
    assert StackFolder.create(tmp_path, "a", "1").path == StackFolder.create(tmp_path, "a", "1").path
    assert StackFolder.create(tmp_path, "a", "1").path != StackFolder.create(tmp_path, "a", "2").path


def test_json_files_round_trip_and_hold_no_illegal_numbers(stack):
    stack.write_config({"seeds": [0, 1], "label": "é😀", "swept": [{"r1.gamma": np.float64(0.1)}]})
    stack.write_env(
        {"gpu": None, "flags": {"x": float("nan"), "y": np.array([1.0, np.inf])}, "at": Path("p")}
    )
    stack.write_status({"step": np.int64(7), "loss": -np.inf})
    assert stack.config() == {"seeds": [0, 1], "label": "é😀", "swept": [{"r1.gamma": 0.1}]}
    assert stack.env() == {"gpu": None, "flags": {"x": None, "y": [1.0, None]}, "at": "p"}
    assert stack.status() == {"step": 7, "loss": None}
    for path in stack.path.glob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("content", [b'{"half": ', b"", b"\xff\xfe\x00", b"[1, 2]", b"[" * 100_000])
def test_unreadable_json_counts_as_absent_with_a_warning(stack, content):
    (stack.path / "status.json").write_bytes(content)
    assert stack.status() == {}
    assert len(stack.warnings) == 1
    assert "status.json cannot be read" in stack.warnings[0]


def test_absent_files_read_as_empty_without_warnings(stack):
    assert (stack.config(), stack.env(), stack.status(), stack.checkpoint()) == ({}, {}, {}, None)
    assert stack.traces().empty
    assert stack.evals().columns.tolist() == EVALS.names
    assert stack.runs()["onset_step"].dtype == "Int64"
    assert stack.warnings == []


def test_traces_come_back_in_order_of_steps_with_their_types(stack):
    for first, last in [(101, 200), (1, 100), (1001, 1002)]:
        stack.write_traces(first, last, probes(first, last))
    traces = stack.traces()
    assert traces["step"].tolist() == np.repeat([*range(1, 201), 1001, 1002], 2).tolist()
    assert traces["loss"].dtype == np.float32
    assert traces["player"].tolist()[:2] == ["discriminator", "generator"]
    assert (stack.path / "trace-0000000101-0000000200.parquet").exists()


def test_traces_of_parts_with_other_players_fit_together(stack):
    stack.write_traces(1, 2, probes(1, 2, ("vae",)))
    stack.write_traces(3, 4, probes(3, 4))
    assert stack.traces()["player"].value_counts().to_dict() == {"vae": 2, "discriminator": 2, "generator": 2}


def test_non_finite_numbers_live_in_parquet(stack):
    columns = probes(1, 2) | {"loss": np.array([np.nan, np.inf, -np.inf, 1.0], np.float32)}
    stack.write_traces(1, 2, columns)
    np.testing.assert_array_equal(stack.traces()["loss"].to_numpy(), columns["loss"])


def test_drop_traces_after_a_checkpoint(stack):
    for first in (1, 101, 201):
        stack.write_traces(first, first + 99, probes(first, first + 99))
    stack.drop_traces_after(101)  # the part that begins with it is kept, though it goes on
    assert stack.traces()["step"].max() == 200
    stack.drop_traces_after(100)
    assert stack.traces()["step"].max() == 100
    stack.drop_traces_after(0)
    assert stack.trace_parts() == []


def test_a_truncated_part_is_left_out_with_a_warning(stack):
    stack.write_traces(1, 10, probes(1, 10))
    stack.write_traces(11, 20, probes(11, 20))
    whole = stack.trace_parts()[1][2]
    whole.write_bytes(whole.read_bytes()[:-20])
    assert stack.traces()["step"].max() == 10
    assert "trace-0000000011" in stack.warnings[0]


def test_foreign_and_left_over_files_are_ignored(tmp_path, stack):
    stack.write_config({"id": "x"})
    stack.write_traces(1, 10, probes(1, 10))
    for name in (
        ".trace-0000000011-0000000020.parquet.12ab.tmp",
        "trace-x-y.parquet",
        "notes.txt",
        ".DS_Store",
    ):
        (stack.path / name).write_bytes(b"rubbish")
    (tmp_path / "stacks" / "empty").mkdir()
    (tmp_path / "stacks" / "file").write_text("x")
    half = tmp_path / "stacks" / "half"
    half.mkdir()
    (half / "config.json").write_text('{"id"')
    assert [folder.path for folder in stack_folders(tmp_path)] == [stack.path]
    assert len(stack.traces()) == 20
    assert stack.warnings == []
    StackFolder.create(tmp_path, "ring/mlp-gan/hinge", "identity")
    assert not list(stack.path.glob(".*.tmp"))


def test_stack_folders_of_nothing(tmp_path):
    assert stack_folders(tmp_path / "none") == []


def test_evals_round_trip_and_can_be_cut(stack):
    row = {"run": 0, "metric": "fid", "n": 500, "extractor": "cnn", "weights": "raw"}
    rows = [row | {"step": step, "value": value} for step, value in [(10, 3.5), (20, np.nan), (30, np.inf)]]
    stack.write_evals(rows)
    evals = stack.evals()
    np.testing.assert_array_equal(evals["value"].to_numpy(), [3.5, np.nan, np.inf])
    stack.drop_evals_after(20)
    assert stack.evals()["step"].tolist() == [10, 20]
    stack.write_evals(stack.evals())
    pd.testing.assert_frame_equal(stack.evals(), evals.iloc[:2])


def test_runs_round_trip_with_swept_columns_and_missing_onsets(stack):
    stack.write_runs(
        [
            run_row(**{"r1.gamma": 0.1, "onset_step": None, "reason": ""}),
            run_row(key="k1", outcome="diverged", onset_step=812, reason="bad file \udcff"),
        ]
    )
    runs = stack.runs()
    assert runs["onset_step"].tolist() == [pd.NA, 812]
    assert runs["r1.gamma"].iloc[0] == 0.1
    assert np.isnan(runs["r1.gamma"].iloc[1])
    assert runs["reason"].iloc[1] == "bad file \\udcff"
    stack.write_runs(runs)
    pd.testing.assert_frame_equal(stack.runs(), runs)


def test_a_checkpoint_holds_tensors_and_meta_exactly(stack):
    tensors = {
        "scalar": np.array(2.5),
        "steps": np.array([2**62, -1]),
        "strided": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "mask": np.array([True, False]),
        "nothing": np.empty((0, 3)),
        "special": np.array([np.nan, -np.inf, -0.0]),
    }
    stack.write_checkpoint(tensors, {"step": 7, "rate": 0.1 + 0.2, "bad": float("inf")})
    found, meta = stack.checkpoint()
    assert meta == {"step": 7, "rate": 0.1 + 0.2, "bad": None}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].shape == tensor.shape
        assert found[name].dtype == tensor.dtype
        assert found[name].tobytes() == tensor.tobytes()
    stack.drop_checkpoint()
    stack.drop_checkpoint()
    assert stack.checkpoint() is None


@settings(deadline=None)  # it syncs to disk
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_checkpoint_cut_anywhere_counts_as_none(tmp_path_factory, cut):
    stack = StackFolder.create(tmp_path_factory.getbasetemp(), "cut", "cut")
    stack.write_checkpoint({"x": np.arange(20.0)}, {"step": 1})
    path = stack.path / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * len(content))])
    assert stack.checkpoint() is None
    assert "checkpoint.safetensors cannot be read" in stack.warnings[0]


def test_a_foreign_safetensors_file_is_no_checkpoint(stack):
    from safetensors.numpy import save_file

    save_file({"x": np.ones(2)}, stack.path / "checkpoint.safetensors")
    assert stack.checkpoint() is None
    assert len(stack.warnings) == 1


def test_a_failed_write_leaves_the_old_file_and_nothing_else(stack):
    stack.write_status({"step": 1})
    with pytest.raises(TypeError):
        stack.write_status({"step": object()})
    with pytest.raises(Exception, match="dtype"):
        stack.write_checkpoint({"x": np.array(["text"])}, {})
    assert stack.status() == {"step": 1}
    assert sorted(path.name for path in stack.path.iterdir()) == ["status.json"]


def test_a_writer_killed_at_any_moment_leaves_only_whole_files(tmp_path):
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from ganbench.storage.stack_folder import StackFolder\n"
        "stack = StackFolder.create(Path(sys.argv[1]), 's', 's')\n"
        "for step in range(10**6):\n"
        "    stack.write_status({'step': step})\n"
        "    stack.write_checkpoint({'x': np.full(20_000, step)}, {'step': step})\n"
        "    print(step, flush=True)\n"
    )
    for delay in (0.0, 0.004, 0.009):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(5):
                writer.stdout.readline()
            time.sleep(delay)
            writer.kill()
        stack = StackFolder.create(tmp_path, "s", "s")
        tensors, meta = stack.checkpoint()
        assert (tensors["x"] == meta["step"]).all()
        assert stack.status()["step"] - meta["step"] in (0, 1)
        assert stack.warnings == []


def test_the_suite_lock_round_trips(tmp_path):
    root = tmp_path / "results" / "suite"
    assert read_lock(root) is None
    write_lock(root, {"schema": 1, "keys": ["a"]})
    assert read_lock(root) == {"schema": 1, "keys": ["a"]}


def holder(**changes: object) -> str:
    return json.dumps({"pid": 1, "born": None, "host": socket.gethostname(), "token": "other"} | changes)


def test_a_folder_lock_keeps_a_second_one_out_and_goes_away(tmp_path):
    with FolderLock(tmp_path / "new") as lock:
        lock.refresh()
        with pytest.raises(BadInput, match=f"process {os.getpid()} on .*wait for it to end, or remove"):
            FolderLock(tmp_path / "new").__enter__()
        assert lock.path.exists()
    assert list((tmp_path / "new").iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from ganbench.storage.lock import FolderLock\n"
        "with FolderLock(Path(sys.argv[1])): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BadInput, match=f"process {process.pid} on"):
            FolderLock(tmp_path).__enter__()
        process.send_signal(signal.SIGKILL)
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_the_lock_of_a_process_whose_id_was_used_again_is_taken_over(tmp_path):
    path = tmp_path / ".ganbench.lock"
    path.write_text(holder(pid=os.getpid(), born="1"))
    with FolderLock(tmp_path):
        assert "other" not in path.read_text()


@pytest.mark.parametrize(("text", "age", "held"), [
    (holder(host="elsewhere"), 60, True),
    (holder(host="elsewhere"), 7 * 3600, False),
    ("", 0, True),
    ("", 60, False),
    ("null", 60, False),
    ('{"pid": "x"}', 60, False),
])  # fmt: skip
def test_locks_that_cannot_be_looked_at_go_by_age(tmp_path, text, age, held):
    path = tmp_path / ".ganbench.lock"
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    if held:
        with pytest.raises(BadInput, match="in use by"):
            FolderLock(tmp_path).__enter__()
        assert path.read_text() == text
    else:
        with FolderLock(tmp_path):
            pass


def test_a_lock_where_nothing_can_be_written_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written to"):
        FolderLock(tmp_path / "file").__enter__()


def test_two_takers_of_a_stale_lock_do_not_both_get_it(tmp_path):
    """The second saw the stale lock, then the first took it over: the first keeps it."""
    stale = holder(host="elsewhere")
    (tmp_path / ".ganbench.lock").write_text(holder(token="first"))
    slow = FolderLock(tmp_path)
    slow._remove(stale)
    assert "first" in (tmp_path / ".ganbench.lock").read_text()
    assert [path.name for path in tmp_path.iterdir()] == [".ganbench.lock"]
