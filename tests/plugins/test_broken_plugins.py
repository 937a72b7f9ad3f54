"""Plugins that break: the suite ends, the others' rows are complete, and the culprit is named."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent, indent

import pytest
from run_cli import TOY, Done, assert_same_rows, ganbench_here, ganbench_process, rows

import ganbench

pytestmark = pytest.mark.usefixtures("without_page")

LOSS = '''
from dataclasses import dataclass
import os, sys
import torch
from torch.nn import functional as F
import ganbench

@dataclass(frozen=True)
class Broken(ganbench.Loss):
    """Breaks."""
    name = "broken"
    family = "toy-gan"
    calls = [0]

    def discriminator(self, out):
        real, fake = out["real_logits"], out["fake_logits"]
        self.calls[0] += 1
{how}
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, out):
        return F.softplus(-out["fake_logits"]).mean()

@ganbench.hookimpl
def ganbench_losses():
    return [Broken]
'''
HEALTHY = ["toy-blob/toy-gan/toy-loss/plain", "toy-blob/toy-gan/toy-loss/toy-penalty"]
BROKEN = ["toy-blob/toy-gan/broken/plain", "toy-blob/toy-gan/broken/toy-penalty"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """Rows of the variants that are not broken, trained without the broken plugin."""
    out = tmp_path_factory.mktemp("healthy")
    done = ganbench_here("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--engine", "loop", "--out", out)
    assert done.code == 0
    return rows(out)


@pytest.fixture
def plugin(tmp_path):
    """Writes a single-file plugin whose loss runs the given lines."""

    def write(how: str, name: str = "frail.py") -> str:
        path = tmp_path / name
        path.write_text(LOSS.format(how=indent(dedent(how).strip(), " " * 8)))
        return str(path)

    return write


def run(tmp_path, *args, how=ganbench_here, engine="loop", **kwargs) -> Done:
    losses = 'matrix.loss=["toy-loss","broken"]'
    return how("run", TOY, "--set", losses, "--engine", engine, "--out", tmp_path / "out", *args, **kwargs)


def assert_others_are_complete(tmp_path, healthy):
    """The healthy variants' rows are those of a suite without the broken plugin, bit for bit."""
    found = rows(tmp_path / "out")
    assert set(found["runs"]["variant"]) == {*HEALTHY, *BROKEN}
    assert len(found["runs"]) == 8
    kept = {n: f[f["variant"].isin(HEALTHY)].reset_index(drop=True) for n, f in found.items()}
    kept["runs"]["stack_size"] = kept["runs"]["stack_size"].astype(int)  # a float beside runs without one
    assert_same_rows(healthy, kept)


def outcomes(tmp_path):
    """(outcome, reason) of the broken variants' runs."""
    runs = ganbench.load(tmp_path / "out").runs
    broken = runs[runs["variant"].isin(BROKEN)]
    assert len(broken) == 4
    return list(zip(broken["outcome"], broken["reason"], strict=True))


def test_a_plugin_that_fails_on_import(tmp_path, healthy, plugin):
    path = tmp_path / "frail.py"
    path.write_text("import no_such_module_anywhere\n")
    done = run(tmp_path, "--plugin", path)
    assert done.code == 1
    assert "Traceback" not in done.out + done.err
    assert_others_are_complete(tmp_path, healthy)
    for outcome, reason in outcomes(tmp_path):
        assert outcome == "incompatible"
        assert "loss 'broken' is not there" in reason
        assert f"plugin 'frail' of {path} failed: ModuleNotFoundError" in reason
    assert f"incompatible: {BROKEN[0]}" in done.out
    first = done.err.splitlines()[1]
    assert first.startswith(
        "warning: 4 of 8 runs are incompatible: loss 'broken' is not there; plugin 'frail'"
    )
    assert done.err.count("ModuleNotFoundError") == 1


def test_a_broken_plugin_that_no_variant_needs_is_reported_before_training(tmp_path):
    path, idle = tmp_path / "frail.py", tmp_path / "idle.py"
    path.write_text("def (:\n")
    idle.write_text("def ganbench_losses():\n    return []\n")
    args = ("--plugin", path, "--plugin", idle, "--engine", "loop", "--steps", 2, "--out", tmp_path / "out")
    done = ganbench_here("run", TOY, *args)
    assert done.code == 0
    _, first, second, third, *_ = done.err.splitlines()
    assert first.startswith(f"warning: plugin 'frail' of {path} failed: SyntaxError: ")
    assert second.startswith(f"warning: {idle}")
    assert second.endswith(" provides no component: mark its hook with @ganbench.hookimpl")
    assert third.startswith("started ")


def test_an_unknown_name_beside_a_plugin_that_provides_nothing(tmp_path):
    idle = tmp_path / "idle.py"
    idle.write_text("def ganbench_losses():\n    return []\n")
    done = ganbench_here(
        "run", TOY, "--plugin", idle, "--set", "matrix.loss=['target-ls']", "--out", tmp_path
    )
    assert done.code == 2
    assert done.err.rstrip().endswith("provides no component: mark its hook with @ganbench.hookimpl")
    assert f"; {idle}" in done.err


def test_a_plugin_that_exits_on_import(tmp_path, healthy):
    path = tmp_path / "frail.py"
    path.write_text("import sys\nsys.exit('no licence')\n")
    assert run(tmp_path, "--plugin", path).code == 1
    assert_others_are_complete(tmp_path, healthy)
    assert all("SystemExit: no licence" in reason for _, reason in outcomes(tmp_path))


@pytest.mark.parametrize("engine", ["loop", "eager"])
def test_a_loss_that_raises(tmp_path, healthy, plugin, engine):
    path = plugin('raise RuntimeError("boom\\nsecond line")')
    done = run(tmp_path, "--plugin", path, engine=engine)
    assert done.code == 1
    if engine == "loop":
        assert_others_are_complete(tmp_path, healthy)
    line = Path(path).read_text().partition("raise")[0].count("\n") + 1
    for outcome, reason in outcomes(tmp_path):
        assert outcome == "crashed"
        assert reason == f"loss 'broken' of {path} raised RuntimeError: boom (frail.py:{line})"
    assert f"crashed: {BROKEN[0]} and 1 more: loss 'broken'" in done.out
    assert done.out.count("crashed:") == 1, "told once a cause"
    assert "second line" not in done.err
    [told] = [line for line in done.err.splitlines() if line.startswith("traceback in ")]
    trace = Path(told.removeprefix("traceback in ").partition(";")[0])
    assert trace.is_relative_to(tmp_path / "out" / "stacks")
    assert "second line" in trace.read_text()


def test_a_traceback_is_printed_where_that_is_asked_for(tmp_path, plugin, monkeypatch):
    monkeypatch.setenv("GANBENCH_TRACEBACK", "1")
    done = run(tmp_path, "--plugin", plugin('raise RuntimeError("boom\\nsecond line")'), "--steps", 2)
    assert done.code == 1
    assert done.err.count("\nsecond line\n") == 1, "once a cause"


def test_a_traceback_goes_when_the_stack_is_trained_again(tmp_path, plugin, monkeypatch):
    how = 'if "BOOM" in os.environ and self.calls[0] > 20: raise RuntimeError("boom")'
    args = ("--plugin", plugin(how))
    monkeypatch.setenv("BOOM", "1")
    assert run(tmp_path, *args).code == 1
    assert len(list((tmp_path / "out").rglob("traceback.txt"))) == 2
    monkeypatch.delenv("BOOM")
    assert run(tmp_path, *args).code == 0
    assert not list((tmp_path / "out").rglob("traceback.txt"))


def test_a_loss_that_raises_late_keeps_its_rows_and_is_retried(tmp_path, healthy, plugin):
    path = plugin('if self.calls[0] >= 130: raise RuntimeError("boom")')
    assert run(tmp_path, "--plugin", path).code == 1
    assert_others_are_complete(tmp_path, healthy)
    assert {outcome for outcome, _ in outcomes(tmp_path)} == {"crashed"}
    again = run(tmp_path, "--plugin", path)
    assert "8 runs, 4 of them already trained" in again.err
    assert again.err.count("started") == 2


def test_a_loss_that_returns_nan(tmp_path, healthy, plugin):
    path = plugin("if self.calls[0] > 50: return real.mean() * torch.nan")
    done = run(tmp_path, "--plugin", path)
    assert done.code == 0, "divergence is a result"
    assert_others_are_complete(tmp_path, healthy)
    for outcome, reason in outcomes(tmp_path):
        assert outcome == "diverged"
        assert "discriminator loss became non-finite at step" in reason
        assert f"(loss 'broken' of {path})" in reason
    runs = ganbench.load(tmp_path / "out").runs
    assert (runs["steps"][runs["outcome"] == "diverged"] == runs["onset_step"].dropna()).all()


def test_a_loss_that_returns_no_scalar(tmp_path, healthy, plugin):
    path = plugin("return real")
    assert run(tmp_path, "--plugin", path).code == 1
    assert_others_are_complete(tmp_path, healthy)
    fix = "return one number, such as its .mean()"
    told = f"loss 'broken' of {path} gave a tensor of shape (8, 1) on the discriminator's turn; {fix}"
    assert set(outcomes(tmp_path)) == {("crashed", told)}


FORGETFUL = """
from dataclasses import dataclass
import ganbench

class Forgetful(ganbench.Loss):
    family = "toy-gan"

    def generator(self, out):
        return out["fake_logits"].mean()

@dataclass(frozen=True)
class Unscaled(Forgetful):
    name = "unscaled"
    def discriminator(self, out):
        return out["fake_logits"]

@dataclass(frozen=True)
class Item(Forgetful):
    name = "item"
    def discriminator(self, out):
        return 0.5

@dataclass(frozen=True)
class Nothing(Forgetful):
    name = "nothing"
    def discriminator(self, out):
        out["fake_logits"].mean()

@dataclass(frozen=True)
class NoObjective(ganbench.Technique):
    name = "no-objective"
    def objective(self, inner):
        def penalised(player, nets, batch, out):
            return inner(player, nets, batch, out)

@dataclass(frozen=True)
class NoValue(ganbench.Technique):
    name = "no-value"
    def objective(self, inner):
        def penalised(player, nets, batch, out):
            inner(player, nets, batch, out)
        return penalised

@dataclass(frozen=True)
class NoOut(ganbench.Technique):
    name = "no-out"
    def play(self, inner):
        return lambda player, nets, batch: None

@dataclass(frozen=True)
class NoFlow(ganbench.Technique):
    name = "no-flow"
    def field(self, inner):
        return lambda turn, joint, buffers, batch: None

@dataclass(frozen=True)
class NoRule(ganbench.Technique):
    name = "no-rule"
    def rule(self, inner):
        pass

@dataclass(frozen=True)
class NoNetwork(ganbench.Technique):
    name = "no-network"
    def network(self, name, net):
        pass

@ganbench.hookimpl
def ganbench_losses():
    return [Unscaled, Item, Nothing]

@ganbench.hookimpl
def ganbench_techniques():
    return [NoObjective, NoValue, NoOut, NoFlow, NoRule, NoNetwork]
"""
TOLD = {
    "unscaled": "gave a tensor of shape (8, 1) on the discriminator's turn; return one number, such as its "
    ".mean()",
    "item": "gave 0.5 (float) on the discriminator's turn; return a tensor of no dimensions, not its .item()",
    "nothing": "gave None on the discriminator's turn; return its value",
    "no-objective": "gave None for its objective; return the wrapped function",
    "no-value": "gave None on the discriminator's turn; return its value",
    "no-out": "gave None from play on the discriminator's turn; return a dict of tensors",
    "no-flow": "gave None from its field; return the flow, such as flow._replace(gradients=…)",
    "no-rule": "gave None for its rule; return the rule, such as inner._replace(apply=…)",
    "no-network": "gave None for the network 'generator'; return the module",
}


@pytest.mark.parametrize("engine", ["loop", "eager"])
def test_a_component_with_a_wrong_return_value_is_named(tmp_path, engine):
    path = tmp_path / "forgetful.py"
    path.write_text(FORGETFUL)
    techniques = [[name] for name in TOLD if name.startswith("no-")]
    includes = ", ".join(f"{{ loss = '{name}' }}" for name in TOLD if not name.startswith("no-"))
    matrix = ("matrix.loss=['toy-loss']", f"matrix.techniques={techniques}", f"matrix.include=[{includes}]")
    args = [part for text in (*matrix, "defaults.batch=8") for part in ("--set", text)]
    where = ("--out", tmp_path / "out", "--plugin", path, "--engine", engine, "--seeds", 1)
    done = ganbench_here("run", TOY, *where, *args)
    assert done.code == 1
    assert "warning" not in done.err, "figures can be drawn, though nothing was measured"
    runs = ganbench.load(tmp_path / "out").runs
    assert len(runs) == len(TOLD)
    for _, run in runs.iterrows():
        kind, name = ("loss", run["loss"]) if run["loss"] in TOLD else ("technique", run["techniques"])
        assert (run["outcome"], run["reason"]) == ("crashed", f"{kind} {name!r} of {path} {TOLD[name]}")


def test_a_component_that_reads_a_missing_key(tmp_path, healthy, plugin):
    assert run(tmp_path, "--plugin", plugin('out["real_logit"]')).code == 1
    assert_others_are_complete(tmp_path, healthy)
    for outcome, reason in outcomes(tmp_path):
        assert outcome == "crashed"
        assert "loss 'broken'" in reason
        assert "real_logit" in reason


@pytest.mark.xfail(strict=True, reason="planning runs a step of every component in the user's own process")
def test_a_component_that_ends_its_process(tmp_path, healthy, plugin):
    path = plugin("os._exit(7)")
    done = run(tmp_path, "--plugin", path, "--workers", 1, how=ganbench_process, cwd=tmp_path)
    assert done.code == 1
    assert_others_are_complete(tmp_path, healthy)
    assert set(outcomes(tmp_path)) == {("crashed", "the worker process exited with 7")}


@pytest.mark.slow
def test_a_component_that_prints_and_ends_its_worker(tmp_path, healthy, plugin):
    """What it prints, in planning and in training, is not mixed with the table."""
    path = plugin("print('chatter')\nif self.calls[0] > 100: sys.exit(7)")
    args = ("--plugin", path, "--workers", 1, "--json")
    done = run(tmp_path, *args, how=ganbench_process, cwd=tmp_path)
    assert done.code == 1, done.err
    assert len(done.json()) == 4
    assert "chatter" in done.err
    assert_others_are_complete(tmp_path, healthy)
    assert set(outcomes(tmp_path)) == {("crashed", "the worker process exited with 7")}


@pytest.mark.slow
def test_a_component_that_never_returns(tmp_path, healthy, plugin):
    path = plugin("if self.calls[0] > 100: __import__('time').sleep(600)")
    done = run(
        tmp_path, "--plugin", path, "--workers", 1, "--timeout", 12, how=ganbench_process, cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert_others_are_complete(tmp_path, healthy)
    assert set(outcomes(tmp_path)) == {("timed_out", "the stack took longer than 12 s and was stopped")}


GLOBAL = "real = real + torch.randn_like(real)"


def test_a_component_that_draws_from_the_global_generator(tmp_path, plugin):
    """It cannot be mapped: those runs are looped, and the reason is on record."""
    done = run(tmp_path, "--plugin", plugin(GLOBAL), engine="eager")
    assert done.code == 0, done.err
    runs = ganbench.load(tmp_path / "out").runs
    assert set(runs["outcome"]) == {"finished"}
    for folder in (tmp_path / "out" / "stacks").iterdir():
        config = json.loads((folder / "config.json").read_text())
        loss = config["variants"][0]["loss"]["name"]
        assert config["engine"]["mapper"] == ("loop" if loss == "broken" else "map")
        assert ("random" in config["engine"].get("why", "")) == (loss == "broken")
    mappers = dict(zip(runs["variant"], runs["mapper"], strict=True))
    assert mappers == {HEALTHY[0]: "map", HEALTHY[1]: "map", BROKEN[0]: "loop", BROKEN[1]: "loop"}


def test_global_draws_of_a_component_do_not_change_other_runs(tmp_path, healthy, plugin):
    assert run(tmp_path, "--plugin", plugin(GLOBAL)).code == 0
    assert_others_are_complete(tmp_path, healthy)


METRIC = '''
from dataclasses import dataclass
import ganbench

@dataclass(frozen=True)
class Broken(ganbench.Metric):
    """Breaks."""
    name = "broken-metric"
    values = {{"broken-metric": "lower"}}

    def measure(self, evaluation):
        {how}

@ganbench.hookimpl
def ganbench_metrics():
    return [Broken]
'''


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ('raise ValueError("no such thing")', "raised ValueError: no such thing (frail.py:12)"),
        ("return {'broken-metric': 1 / 0}", "raised ZeroDivisionError"),
        ("return None", "gave None; return a dict of its values, such as {'broken-metric': 0.5}"),
        ("return 0.5", "gave 0.5 (float); return a dict of its values"),
        ("return {'broken-metric': 'high'}", "gave 'high' (str) for 'broken-metric'; return a Python number"),
        (
            "return {'broken-metric': evaluation.samples.mean()}",
            "gave a tensor of shape () for 'broken-metric'; return a Python number, such as its .item()",
        ),
        (
            "return {'broken-metric': 1.0, 'broken-metrik': 1.0}",
            "measured 'broken-metrik', which is not among its `values`; did you mean 'broken-metric'?",
        ),
        ("return {}", "did not measure 'broken-metric'; return all of its `values`"),
    ],
)
def test_a_metric_that_breaks(tmp_path, healthy, how, told):
    path = tmp_path / "frail.py"
    path.write_text(METRIC.format(how=how))
    include = ('matrix.include=[{ loss = "toy-bomb", evaluate = { every = 35, samples = 50, '
               'metrics = ["broken-metric"] } }]')  # fmt: skip
    only = ("--set", 'matrix.loss=["toy-loss"]', "--set", include)
    done = ganbench_here("run", TOY, *only, "--engine", "loop", "--out", tmp_path / "out", "--plugin", path)
    found = rows(tmp_path / "out")
    kept = {n: f[f["variant"].isin(HEALTHY)].reset_index(drop=True) for n, f in found.items()}
    assert_same_rows(healthy, kept)
    broken = found["runs"][~found["runs"]["variant"].isin(HEALTHY)]
    assert len(broken) == 2
    assert done.code == 1
    assert set(broken["outcome"]) == {"crashed"}
    assert set(broken["steps"]) == {0}, "found out before anything is trained"
    for reason in broken["reason"]:
        assert reason.startswith(f"metric 'broken-metric' of {path} {told}")


OBSERVER = """
import ganbench

@ganbench.hookimpl
def ganbench_stack_started(stack):
    {started}

@ganbench.hookimpl
def ganbench_evaluated(stack, step, rows):
    {evaluated}

@ganbench.hookimpl
def ganbench_stack_finished(stack, runs):
    {finished}
"""


def observer(tmp_path, name, **hooks):
    path = tmp_path / name
    lines = {"started": "pass", "evaluated": "pass", "finished": "pass"} | hooks
    path.write_text(OBSERVER.format(**lines))
    return path


@pytest.mark.parametrize("hook", ["started", "evaluated", "finished"])
def test_an_observer_that_breaks_changes_nothing(tmp_path, healthy, hook):
    path = observer(tmp_path, "frail.py", **{hook: 'raise RuntimeError("oh")'})
    done = ganbench_here("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--engine", "loop",
                         "--out", tmp_path / "out", "--plugin", path)  # fmt: skip
    assert done.code == 0
    assert "raised RuntimeError: oh" in done.err
    assert_same_rows(healthy, rows(tmp_path / "out"))


def test_an_observer_that_breaks_is_named(tmp_path):
    path = observer(tmp_path, "frail.py", started='raise RuntimeError("oh")')
    done = ganbench_here("run", TOY, "--engine", "loop", "--out", tmp_path / "out", "--plugin", path)
    assert done.err.count("warning: an observer of the plugin 'frail' raised RuntimeError: oh") == 4


def telling(tmp_path):
    log = tmp_path / "log.txt"
    append = f"with open({str(log)!r}, 'a') as log: log.write('{{}} ' + stack['label'] + '\\n')"
    words = {word: append.format(word) for word in ("started", "evaluated", "finished")}
    return observer(tmp_path, "telling.py", **words), log


def test_observers_are_told_of_a_runs_life(tmp_path):
    path, log = telling(tmp_path)
    args = ("run", TOY, "--set", 'matrix.loss=["toy-loss"]', "--engine", "loop", "--out", tmp_path / "out")
    assert ganbench_here(*args, "--plugin", path).code == 0
    for label in HEALTHY:
        told = [line.split()[0] for line in log.read_text().splitlines() if line.endswith(label)]
        assert told == ["started", *["evaluated"] * 3, "finished"]
    before = log.read_text()
    assert ganbench_here(*args, "--plugin", path).code == 0
    assert log.read_text() == before, "nothing was trained, so there is nothing to tell"


def test_an_observer_that_breaks_keeps_nothing_from_the_others(tmp_path):
    path, log = telling(tmp_path)
    frail = observer(tmp_path, "frail.py", started='raise RuntimeError("oh")')
    ganbench_here(
        "run", TOY, "--engine", "loop", "--out", tmp_path / "out", "--plugin", path, "--plugin", frail
    )
    assert log.read_text().count("started") == 4


def test_two_files_of_one_name_do_not_harm_each_other(tmp_path, plugin):
    (tmp_path / "other").mkdir()
    one, other = plugin("pass"), plugin("pass", "other/frail.py")
    listed = ganbench_here("plugins", "list", "--json", "--plugin", one, "--plugin", other).json()
    assert listed["components"]["loss"]["broken"] == str(one)
    done = run(tmp_path, "--plugin", one, "--plugin", other)
    assert done.code == 0
    config = next(c for c in (tmp_path / "out").rglob("config.json") if "broken" in c.parent.name)
    assert json.loads(config.read_text())["versions"]["loss broken"] == {
        "distribution": str(one),
        "version": "0",
        "packaged": False,
    }
    from ganbench.plugins.discovery import discover

    catalogue = discover([one, other])
    assert catalogue.get("loss", "broken").source_file == one
    assert catalogue.manager.has_plugin("frail")


def test_a_plugin_that_is_given_twice_is_loaded_once(tmp_path):
    """Once by the suite, once on the command line."""
    path = TOY.parent / "../../toys.py"
    done = ganbench_here("run", TOY, "--engine", "loop", "--out", tmp_path, "--plugin", path)
    assert done.code == 0, done.err
    assert len(ganbench.load(tmp_path).runs) == 8
