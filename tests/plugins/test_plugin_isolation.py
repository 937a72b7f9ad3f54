"""What a plugin can do wrong while it is loaded, and how one is switched off: none of it harms the others."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from unittest import mock

import pytest
from run_cli import SUITES, TOY, ganbench_here, needs_builtins, rows
from test_discovery import Entry, discover_entries, find, good, module, modules_are_put_back

from ganbench.errors import BadInput
from ganbench.hookspecs import API_VERSION
from ganbench.plugins import discovery, loading

pytestmark = pytest.mark.usefixtures("without_page")

__all__ = ["find", "modules_are_put_back"]  # fixtures


# -- switched off


def three():
    return (
        Entry("builtin", "ganbench", lambda: module("builtin")),
        Entry("one", "a-dist", lambda: module("one")),
        Entry("two", "b-dist", lambda: module("two")),
    )


DISABLED = {
    "": {"builtin", "one", "two"},
    "one": {"builtin", "two"},
    "b-dist": {"builtin", "one"},
    " one , b-dist ,": {"builtin"},
    "*": {"builtin"},
    "*,builtin": set(),
    "ganbench": {"one", "two"},
    "nobody": {"builtin", "one", "two"},
}


@pytest.mark.parametrize("named", DISABLED)
def test_disabled(monkeypatch, named):
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", named)
    catalogue = discover_entries(*three())
    assert set(catalogue.plugins) - {"core"} == DISABLED[named]
    assert set(catalogue.names("loss")) == DISABLED[named]
    assert set(catalogue.disabled) == {"builtin", "one", "two"} - DISABLED[named]
    assert catalogue.failures == []


def test_a_disabled_plugin_is_not_imported(monkeypatch):
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", "evil")
    assert discover_entries(Entry("evil", "c-dist", pytest.fail)).failures == []


def test_files_that_are_named_are_always_loaded(monkeypatch, find):
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", "*,mine")
    assert find(mine=good()).names("loss") == ["good"]


@needs_builtins
def test_a_suite_that_needs_a_disabled_plugin_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("GANBENCH_DISABLE_PLUGINS", "builtin")
    done = ganbench_here("run", SUITES / "ring.toml", "--out", tmp_path)
    assert done.code in (1, 2)
    assert "plugin 'builtin' of ganbench is disabled" in done.out + done.err
    listed = ganbench_here("plugins", "list")
    assert "builtin: ganbench, disabled by GANBENCH_DISABLE_PLUGINS" in listed.out


# -- strict


@pytest.mark.parametrize(("value", "stops"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_strict(monkeypatch, find, value, stops):
    monkeypatch.setenv("GANBENCH_STRICT_PLUGINS", value)
    if not stops:
        assert len(find(broken="1 / 0").failures) == 1
        return
    with pytest.raises(BadInput, match=r"the plugin 'broken' of .*broken.py is broken .*ZeroDivisionError"):
        find(broken="1 / 0")


def test_strict_on_the_command_line(monkeypatch, tmp_path):
    path = tmp_path / "frail.py"
    path.write_text("import no_such_module_anywhere\n")
    monkeypatch.setenv("GANBENCH_STRICT_PLUGINS", "1")
    for command in (("plugins", "list"), ("run", TOY, "--out", tmp_path / "out")):
        done = ganbench_here(*command, "--plugin", path)
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
        assert "the plugin 'frail'" in done.err
        assert "Traceback" not in done.err + done.out
    assert ganbench_here("--help").code == 0


# -- versions of the plugin API


def test_a_plugin_of_this_api(find):
    catalogue = find(mine=f"ganbench_api = {API_VERSION}\n{good()}")
    assert catalogue.names("loss") == ["good"]
    assert catalogue.failures == []


@pytest.mark.parametrize(
    "source", ["ganbench_api = 7\n" + good(), "ganbench_api = 7\nfrom ganbench import Later\n"]
)
def test_a_plugin_of_a_later_api(find, source):
    """Said in one sentence, whether or not it could be imported."""
    catalogue = find(mine=source, other=good("other"))
    assert catalogue.names("loss") == ["other"]
    (failure,) = catalogue.failures
    assert failure.reason.startswith("it needs plugin API 7, and ganbench ")
    assert failure.reason.endswith(
        f"has {API_VERSION}: upgrade ganbench, or install an older version of the plugin"
    )
    assert failure.traceback == ""


@pytest.mark.parametrize("value", ["'1'", "1.0", "True", "0", "-1"])
def test_what_is_no_version(find, value):
    (failure,) = find(mine=f"ganbench_api = {value}\n{good()}").failures
    assert "names a version of the plugin API, such as 1" in failure.reason


def test_a_plugin_that_broke_by_itself_is_not_blamed_for_its_version(find):
    (failure,) = find(mine="ganbench_api = 1\n1 / 0").failures
    assert failure.reason.startswith("ZeroDivisionError")
    assert "Traceback" in failure.traceback


# -- slow ones


def test_a_slow_import_is_told(find, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "SLOW", 0.05)
    source = "import time\ntime.sleep(0.1)\n" + good()
    catalogue = find(slow=source, quick=good("quick"))
    assert catalogue.loading["slow"].slow
    assert catalogue.loading["slow"].seconds >= 0.1
    done = ganbench_here("plugins", "list", "--plugin", tmp_path / "slow.py")
    assert "slow to import: 0." in done.out
    seconds = ganbench_here("plugins", "list", "--plugin", tmp_path / "slow.py", "--json").json()["seconds"]
    assert seconds["slow"] >= 0.1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no timer")
def test_an_import_that_never_ends_is_given_up(find, monkeypatch):
    """Though it catches every Exception. A timer that was set before goes on."""
    import signal

    monkeypatch.setattr(loading, "LIMIT", 0.2)
    source = "import time\ntry:\n    time.sleep(600)\nexcept Exception:\n    time.sleep(600)\n"
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    left, _ = signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        catalogue = find(hangs=source, after=good("after"))
        remaining, _ = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left)
    (failure,) = catalogue.failures
    assert failure.reason == "TooSlow: it was still being imported after 0.2 s"
    assert "time.sleep(600)" in failure.traceback
    assert catalogue.names("loss") == ["after"]
    assert 25 < remaining < 30
    assert not rang


# -- talkative ones


def test_what_is_printed_while_loading_is_no_output(tmp_path):
    path = tmp_path / "chatty.py"
    path.write_text("print('chatter')\n" + good() + "\nprint('more')\n")
    done = ganbench_here("plugins", "list", "--plugin", path, "--json")
    assert done.json()["components"]["loss"]["good"]
    assert "chatter\nmore\n" in done.err


def test_a_log_handler_made_while_loading_lives_on(find, capsys):
    """It holds what stood in the place of standard output."""
    handler = "import logging, sys\nhandler = logging.StreamHandler(sys.stdout)\nprint('once')\n"
    catalogue = find(logs=handler + good())
    assert catalogue.loading["logs"].printed == "once\n"
    made = catalogue.manager.get_plugin("logs").handler
    made.emit(logging.makeLogRecord({"msg": "later"}))
    assert "later" in capsys.readouterr().err
    assert catalogue.loading["logs"].printed == "once\n"


# -- names that clash


def test_a_clash_names_both_owners(tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text(good("same"))
    flags = [part for name in ("first", "second") for part in ("--plugin", tmp_path / f"{name}.py")]
    out = ganbench_here("plugins", "list", *flags).out
    told = next(line for line in out.splitlines() if "is taken by" in line)
    assert f"failed: second of {tmp_path / 'second.py'}" in told
    assert f"the loss name 'same' is taken by {tmp_path / 'first.py'}" in told


def test_a_suite_that_clashes_is_told(find):
    source = "import ganbench\n@ganbench.hookimpl\ndef ganbench_suites():\n    return ['{}/ring.toml']\n"
    catalogue = find(first=source.format("a"), second=source.format("b"))
    assert catalogue.suites == {"ring": Path("a/ring.toml")}
    (failure,) = catalogue.failures
    assert failure.plugin == "second"
    assert "the suite name 'ring' is taken by" in failure.reason
    assert "first.py" in failure.reason


def test_a_hook_that_gives_no_list(find):
    source = "import ganbench\n@ganbench.hookimpl\ndef ganbench_losses():\n    pass\n"
    (failure,) = find(mine=source).failures
    assert failure.reason == "ganbench_losses gave None, not a list"


# -- files and run keys


SUITE = """
schema = 1
name = "own"
plugins = ["my_loss.py", "toys.py"]

[defaults]
model = "toy-gan"
loss = "mine"
dataset = "toy-blob"
steps = 3
batch = 4
seeds = [0]
optimizer = { name = "sgd", lr = 0.01 }
evaluate = { every = 3, samples = 10, metrics = ["toy-mean"] }
"""
LOSS = '''
from dataclasses import dataclass
import ganbench

@dataclass(frozen=True)
class Mine(ganbench.Loss):
    """Mine (Tester 2026)."""
    name = "mine"
    family = "toy-gan"

    def discriminator(self, out):
        return {scale} * (out["fake_logits"].mean() - out["real_logits"].mean())

    def generator(self, out):
        return -out["fake_logits"].mean()

@ganbench.hookimpl
def ganbench_losses():
    return [Mine]
'''


def test_the_source_of_a_file_is_part_of_the_run_key(tmp_path):
    """Named by the suite or on the command line; where it lies is not."""

    def key(folder, scale, named=True):
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        (home / "toys.py").write_bytes((Path(__file__).parents[1] / "toys.py").read_bytes())
        (home / "my_loss.py").write_text(LOSS.format(scale=scale))
        text = SUITE if named else SUITE.replace('"my_loss.py", ', "")
        (home / "own.toml").write_text(text)
        flags = () if named else ("--plugin", home / "my_loss.py")
        out = tmp_path / f"out-{folder}-{scale}-{named}"
        done = ganbench_here("run", home / "own.toml", "--engine", "loop", "--out", out, *flags)
        assert done.code == 0, done.err
        (found,) = rows(out)["runs"]["key"]
        return found

    first = key("a", 1.0)
    assert key("b", 1.0) == first
    assert key("c", 1.0, named=False) == first
    assert key("a", 2.0) != first
    lock = json.loads((tmp_path / "out-a-1.0-True" / "suite.lock.json").read_text())
    assert lock["keys"] == [first]


def test_discovery_in_a_thread_has_no_timer(find):
    """Signals are the main thread's; elsewhere plugins are loaded without a limit."""
    import threading

    found = []
    thread = threading.Thread(target=lambda: found.append(find(mine=good())))
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        thread.start()
        thread.join()
    assert found[0].names("loss") == ["good"]
