"""The built-in loggers, read back with what they write for: no network anywhere."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from run_cli import RING, InlinePool, ganbench_here

import ganbench
from ganbench.running.events import Evaluated

SMALL = ("--set", 'matrix.loss=["hinge"]', "--engine", "loop", "--workers", "1")
"""Two seeds in one stack."""
pytestmark = pytest.mark.filterwarnings("ignore")  # their imports warn of one another


class Interrupted(InlinePool):
    """Ctrl-C after the second evaluation, before any checkpoint."""

    def train(self, paths):
        evaluated = 0
        for event in super().train(paths):
            yield event
            evaluated += isinstance(event, Evaluated)
            if evaluated == 2:
                Path(paths[0], "runs.parquet").unlink()
                Path(paths[0], "status.json").unlink()
                raise KeyboardInterrupt

    def stop(self):
        return iter(())


@pytest.fixture(autouse=True, scope="module")
def _no_report():
    """Reports take longer than these suites."""
    with mock.patch("ganbench.report.write_report", return_value=[Path("report.html")]):
        yield


def train(out, *logs, args=(), pool=InlinePool):
    chosen = [word for log in logs for word in ("--log", log)]
    done = ganbench_here("run", RING, *SMALL, "--out", out, *args, *chosen, pool=pool)
    told = [line for line in done.err.splitlines() if "warning" in line]
    assert all("no result yet" in line for line in told), told
    return done


def measured(out):
    """(seed, metric) -> [(step, value)]."""
    rows = ganbench.load(out).evaluations.sort_values("step")
    return {
        key: list(zip(own["step"], own["value"], strict=True))
        for key, own in rows.groupby(["seed", "metric"])
    }


def same(told, expected):
    assert [step for step, _ in told] == [step for step, _ in expected]
    values = [[value for _, value in pairs] for pairs in (told, expected)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6, equal_nan=True)


def test_tensorboard_holds_metrics_outcomes_and_hyperparameters(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "out"
    assert train(out, "tensorboard:traces=5").code == 0
    results = ganbench.load(out)
    for seed, row in results.runs.set_index("seed").iterrows():
        [folder] = (out / "tensorboard").glob(f"*/seed{seed}-{row['key'][:8]}")
        events = accumulator.EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0})
        events.Reload()
        for (_, metric), expected in ((k, v) for k, v in measured(out).items() if k[0] == seed):
            same([(event.step, event.value) for event in events.Scalars(metric)], expected)
        traces = results.traces
        own = traces[(traces["seed"] == seed) & (traces["player"] == "generator")].set_index("step")
        thinned = events.Scalars("generator/grad_norm")
        assert [event.step for event in thinned] == [1, 38, 75, 113, 150]
        expected = own["grad_norm"].loc[[1, 38, 75, 113, 150]]
        np.testing.assert_allclose([event.value for event in thinned], expected, rtol=1e-6)
        text = events.Tensors("outcome/text_summary")[0].tensor_proto.string_val[0].decode()
        assert text == f"{row['outcome']}: {row['reason']}"
        started = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        assert b"techniques" in started
        assert b"hinge" in started


def test_tensorboard_forgets_steps_that_are_trained_again(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "out"
    assert train(out, "tensorboard", pool=Interrupted).code == 130
    assert train(out, f"tensorboard:folder={out / 'tensorboard'}").code == 0
    for folder in (out / "tensorboard").glob("*/*"):
        assert len(list(folder.iterdir())) == 2
        events = accumulator.EventAccumulator(str(folder))
        events.Reload()
        assert [event.step for event in events.Scalars("modes")] == [0, 50, 100, 150]


@pytest.mark.slow
def test_mlflow_holds_metrics_parameters_and_tags(tmp_path, monkeypatch):
    pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    out = tmp_path / "out"
    assert train(out, "mlflow", pool=Interrupted).code == 130
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    [experiment] = [e for e in client.search_experiments() if e.name == "small-ring"]
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["KILLED"] * 2
    assert train(out, "mlflow").code == 0
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    rows = ganbench.load(out).runs.set_index("key")
    for run in runs:
        row = rows.loc[run.data.tags["ganbench.key"]]
        assert run.data.params["seed"] == str(row["seed"])
        assert run.data.params["loss"] == "hinge"
        assert (run.data.tags["outcome"], run.data.tags["reason"]) == (row["outcome"], row["reason"])
        history = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "energy-distance")}
        same(sorted(history.items()), measured(out)[row["seed"], "energy-distance"])


def wandb_records(path: Path):
    """Records of an offline file: LevelDB's log format, after seven bytes of header."""
    from wandb.proto import wandb_internal_pb2

    data, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # a whole record, or its last part
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


@pytest.mark.slow
def test_wandb_holds_history_config_and_summary(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    for name, value in (("ERROR_REPORTING", "false"), ("DISABLE_GIT", "true"), ("CACHE_DIR", str(tmp_path))):
        monkeypatch.setenv(f"WANDB_{name}", value)
    out = tmp_path / "out"
    assert train(out, "wandb:mode=offline,project=mine").code == 0
    wandb.teardown()
    rows = ganbench.load(out).runs.set_index("seed")
    found = sorted((out / "wandb").glob("offline-run-*/*.wandb"))
    assert len(found) == 2
    for path in found:
        told, history, summary = {}, [], {}
        for record in wandb_records(path):
            if record.HasField("run"):
                assert (record.run.project, record.run.run_group) == ("mine", "ring/mlp-gan/hinge/plain")
                told = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif record.HasField("history"):
                items = record.history.item
                history.append({i.key or i.nested_key[0]: json.loads(i.value_json) for i in items})
            elif record.HasField("summary"):
                items = record.summary.update
                summary |= {i.key or i.nested_key[0]: json.loads(i.value_json) for i in items}
            elif record.HasField("exit"):
                assert record.exit.exit_code == 0
        assert told["loss"] == "hinge"
        assert told["config"]["steps"] == 150
        row = rows.loc[told["seed"]]
        assert (summary["outcome"], summary["reason"]) == (row["outcome"], row["reason"])
        energy = [(one["_step"], one["energy-distance"]) for one in history if "energy-distance" in one]
        same(energy, measured(out)[told["seed"], "energy-distance"])


class FakeRun:
    """What of a W&B run the logger uses."""

    def __init__(self, **given):
        self.given, self.history, self.summary, self.ended = given, [], {}, None

    def log(self, values, step):
        self.history.append((step, values))

    def finish(self, exit_code):
        self.ended = exit_code


@pytest.fixture
def fake_wandb():
    runs = []

    def init(**given):
        runs.append(FakeRun(**given))
        return runs[-1]

    fake = mock.Mock(init=init, Settings=dict, __spec__=mock.Mock(origin="wandb.py"))
    with mock.patch.dict(sys.modules, {"wandb": fake}):
        yield runs


def test_wandb_goes_on_under_the_same_id(tmp_path, fake_wandb, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert train(tmp_path / "out", "wandb:entity=us", pool=Interrupted).code == 130
    assert [run.ended for run in fake_wandb] == [130, 130]
    assert train(tmp_path / "out", "wandb:entity=us").code == 0
    assert [run.ended for run in fake_wandb[2:]] == [0, 0]
    before, after = ([run.given["id"] for run in runs] for runs in (fake_wandb[:2], fake_wandb[2:]))
    assert before == after
    assert len(set(after)) == 2
    assert {run.given["resume"] for run in fake_wandb} == {"allow"}
    assert [step for step, _ in fake_wandb[-1].history] == [0, 50, 100, 150]
    assert {run.given["entity"] for run in fake_wandb} == {"us"}


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_without_the_package_the_extra_is_named_before_training(tmp_path, name):
    with mock.patch("importlib.util.find_spec", return_value=None), mock.patch(
        "ganbench_builtin.loggers._run_facts.find_spec", return_value=None
    ):  # fmt: skip
        done = ganbench_here("run", RING, *SMALL, "--out", tmp_path / "out", "--log", name)
    assert done.code == 2
    sentence = f"the logger '{name}' needs the package {name}: pip install 'ganbench[{name}]'"
    assert done.err == f"error: --log {name}: {sentence}\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    from ganbench_builtin.loggers._run_facts import lacking

    (tmp_path / "a_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert "needs the package a_tracker" in lacking("a_tracker", "x")
    assert lacking("json", "x") is None


def test_averaged_weights_have_a_tag_of_their_own():
    from ganbench_builtin.loggers._run_facts import by_run

    rows = [
        {"run": 0, "metric": "fid", "value": 3.0, "weights": "raw"},
        {"run": 0, "metric": "fid", "value": 2.0, "weights": "ema"},
        {"run": 1, "metric": "fid", "value": math.inf, "weights": "raw"},
    ]
    assert by_run(rows) == {0: {"fid": 3.0, "fid/ema": 2.0}, 1: {"fid": math.inf}}
