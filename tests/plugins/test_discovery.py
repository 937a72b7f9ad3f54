from __future__ import annotations

import hashlib
import io
import sys
import types
from unittest import mock

import click
import pytest
from run_cli import TOY, ganbench_here
from toys import ToyLoss

from ganbench.errors import BadInput
from ganbench.plugins import discovery
from ganbench.plugins.discovery import Registered, discover

GOOD = """
from dataclasses import dataclass
import ganbench

@dataclass(frozen=True)
class Good(ganbench.Loss):
    '''A loss of {value}.

    More about it.
    '''
    name = "{name}"
    family = "toy-gan"
    value: float = {value}

    def generator(self, out):
        return self.value

@ganbench.hookimpl
def ganbench_losses():
    return [Good]

@ganbench.hookimpl
def ganbench_stack_started(stack):
    stack["heard"].append("{name}")
"""
HEAD = """from __future__ import annotations
from dataclasses import dataclass
import ganbench
"""


@pytest.fixture(autouse=True)
def modules_are_put_back():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("ganbench_file_plugin_"):
            del sys.modules[name]


@pytest.fixture
def find(tmp_path):
    """Discover files of the given contents, without what is installed."""

    def find(**sources):
        paths = []
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            path.write_text(source)
            paths.append(path)
        with mock.patch.object(discovery, "_entry_points", return_value=[]):
            return discover(paths)

    return find


def good(name="good", value=1.0):
    return GOOD.format(name=name, value=value)


def test_a_single_file(find, tmp_path):
    catalogue = find(mine=good())
    found = catalogue.get("loss", "good")
    assert found.cls(value=2.0).generator({}) == 2.0
    assert found.plugin == "mine"
    assert found.distribution == str(tmp_path / "mine.py")
    assert found.summary == "A loss of 1.0."
    assert found.source_file == str(tmp_path / "mine.py")
    assert catalogue.failures == []
    assert set(catalogue.plugins) == {"core", "mine"}
    assert catalogue.names("executor") == ["compiled", "cuda-graph", "cuda-graph-uncompiled", "eager"]


def test_a_path_may_be_text(tmp_path):
    path = tmp_path / "text.py"
    path.write_text(good())
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        assert discover([str(path)]).names("loss") == ["good"]


BROKEN = {
    "import error": ("import no_such_module_of_anyone", "ModuleNotFoundError: No module named 'no_such"),
    "syntax error": ("def (", "SyntaxError"),
    "exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "error while loading": ("1 / 0", "ZeroDivisionError"),
    "wrong signature": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_losses(extra):\n    return []",
        "PluginValidationError",
    ),
    "wrong signature of an observer": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_evaluated(stack, steps):\n    pass",
        "steps",
    ),
    "unknown hook": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_loses():\n    return []",
        "did you mean 'ganbench_losses'?",
    ),
    "a hook that raises": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_losses():\n    raise OSError('no disk')",
        "OSError: no disk",
    ),
    "a hook that exits": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_losses():\n    raise SystemExit",
        "SystemExit",
    ),
    "a hook that gives nothing": (
        HEAD + "@ganbench.hookimpl\ndef ganbench_losses():\n    pass",
        "ganbench_losses gave None, not a list",
    ),
    "a hook that gives a class": (
        HEAD + "class A(ganbench.Loss): pass\n@ganbench.hookimpl\ndef ganbench_losses():\n    return A",
        "ganbench_losses gave the class A, not a list",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_harms_nobody_else(find, source, reason):
    catalogue = find(before=good("first"), broken=source, after=good("last"))
    (failure,) = catalogue.failures
    assert failure.plugin == "broken"
    assert reason in failure.reason
    assert catalogue.names("loss") == ["first", "last"]
    assert "broken" not in catalogue.plugins
    assert not catalogue.manager.has_plugin("broken")
    heard = []
    catalogue.manager.hook.ganbench_stack_started(stack={"heard": heard})
    assert sorted(heard) == ["first", "last"]


TRACES = {
    "import no_such_module_of_anyone": "import no_such_module_of_anyone",
    "x = 1\n1 / 0": ", line 2, in <module>",
    "def (": "def (",
    HEAD + "@ganbench.hookimpl\ndef ganbench_losses():\n    raise OSError('no disk')": "line 6, in ganbench",
    HEAD + "@ganbench.hookimpl\ndef ganbench_losses(extra):\n    return []": "",
    HEAD + "@ganbench.hookimpl\ndef ganbench_loses():\n    return []": "",
}
"""Source -> what its traceback shows; nothing where none of its lines raised."""


@pytest.mark.parametrize("source", TRACES)
def test_a_traceback_shows_the_plugins_own_lines(find, source):
    (failure,) = find(broken=source).failures
    assert TRACES[source] in failure.traceback
    files = {line.split('"')[1] for line in failure.traceback.splitlines() if line.startswith("  File")}
    assert {path.rpartition("/")[2] for path in files} == ({"broken.py"} if TRACES[source] else set())


def test_a_forgotten_import_is_named(find):
    (failure,) = find(broken="@dataclass(frozen=True)\nclass A: pass").failures
    assert failure.fix == "did you forget `from dataclasses import dataclass`?"


def test_ctrl_c_is_no_failure_of_a_plugin(find):
    with pytest.raises(KeyboardInterrupt):
        find(broken="raise KeyboardInterrupt")


def test_a_missing_file_is_a_failure(tmp_path):
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        catalogue = discover([tmp_path / "absent.py"])
    (failure,) = catalogue.failures
    assert "no Python file" in failure.reason


FINE = """
@dataclass(frozen=True)
class Fine(ganbench.{}):
    name = "fine"
    family = "toy-gan"
    def load(self, root): ...
"""


def provide(body, hook="losses", what="A"):
    return (
        f"{HEAD}{body}\n@ganbench.hookimpl\ndef ganbench_{hook}():\n    return [{what}, Fine]\n"
        + FINE.format({"losses": "Loss", "datasets": "Dataset"}[hook])
    )


MISFITS = {
    "no dataclass": (
        "class A(ganbench.Loss):\n    name = 'a'",
        "losses",
        "A is not a frozen dataclass; write `@dataclass(frozen=True)` above the class",
    ),
    "not frozen": (
        "@dataclass\nclass A(ganbench.Loss):\n    name = 'a'",
        "losses",
        "A is not a frozen dataclass; write `@dataclass(frozen=True)` above the class",
    ),
    "no name": (
        "@dataclass(frozen=True)\nclass A(ganbench.Loss):\n    x: int = 1",
        "losses",
        'A has no name; write `name = "a"` in the class',
    ),
    "wrong kind": (
        "@dataclass(frozen=True)\nclass A(ganbench.Technique):\n    name = 'a'",
        "losses",
        "A is not a Loss class; it is a technique: return it from ganbench_techniques",
    ),
    "a class of no kind": ("class A: pass", "losses", "begin it with `class A(ganbench.Loss):`"),
    "no class": ("A = 3", "losses", "3 is not a Loss class"),
    "an instance": (
        "@dataclass(frozen=True)\nclass B(ganbench.Loss):\n    name = 'b'\nA = B()",
        "losses",
        "made from B is not a Loss class; write `return [B]`, without brackets after it",
    ),
    "no family": (
        "@dataclass(frozen=True)\nclass A(ganbench.Loss):\n    name = 'a'",
        "losses",
        'A has no family; write `family = "adversarial"`',
    ),
    "a misspelt method": (
        "@dataclass(frozen=True)\nclass A(ganbench.Dataset):\n    name = 'a'\n    def laod(self, root): ...",
        "datasets",
        "A does not define load; it has a method `laod`; did you mean `load`?",
    ),
    "abstract": (
        "@dataclass(frozen=True)\nclass A(ganbench.Dataset):\n    name = 'a'",
        "datasets",
        "A does not define load",
    ),
}


@pytest.mark.parametrize(("body", "hook", "reason"), MISFITS.values(), ids=MISFITS)
def test_a_component_that_does_not_fit_leaves_its_siblings(find, body, hook, reason):
    catalogue = find(some=provide(body, hook))
    (failure,) = catalogue.failures
    assert failure.plugin == "some"
    assert reason in failure.message
    assert catalogue.names(hook[:-1] if hook == "datasets" else "loss") == ["fine"]


TECHNIQUE = "@dataclass(frozen=True)\nclass A(ganbench.Technique):\n    name = 'a'\n    {}\n"
METRIC = """@dataclass(frozen=True)
class A(ganbench.Metric):
    name = "a"
    {}
    def measure(self, evaluation): ...
"""
ARROWS = "A wraps none of network, play, objective, field, rule"
REFUSED = {
    "a misspelt arrow": (
        "technique",
        TECHNIQUE.format("def objectiv(self, inner): return inner"),
        f"{ARROWS}; it has a method `objectiv`; did you mean `objective`?",
    ),
    "no arrow": ("technique", TECHNIQUE.format("weight: float = 1.0"), f"{ARROWS}; name its method as"),
    "a wrong direction": (
        "metric",
        METRIC.format("values = {'a': 'up'}"),
        "the direction of 'a' is 'up'; choose from higher, lower; write",
    ),
    "no values": ("metric", METRIC.format(""), "A has no `values`: they say what it measures"),
}
"""What would do nothing, or mean something else -> how it is refused."""


@pytest.mark.parametrize(("kind", "body", "told"), REFUSED.values(), ids=REFUSED)
def test_what_would_go_unseen_is_refused(find, kind, body, told):
    source = f"{HEAD}{body}\n@ganbench.hookimpl\ndef ganbench_{kind}s():\n    return [A]\n"
    catalogue = find(a=source)
    assert catalogue.names(kind) == []
    assert catalogue.refused(kind, "a").message.startswith(told)
    assert catalogue.refused(kind, "b") is None


def test_what_the_wrong_hook_gives_is_refused_as_what_it_is(find):
    refused = find(some=provide(*MISFITS["wrong kind"][:2])).refused("technique", "a")
    assert refused.message == "A is not a Loss class; it is a technique: return it from ganbench_techniques"


def test_a_technique_may_be_made_for_the_run(find):
    """What `within` gives may wrap something."""
    body = TECHNIQUE.format("def within(self, steps): return self")
    source = f"{HEAD}{body}\n@ganbench.hookimpl\ndef ganbench_techniques():\n    return [A]\n"
    assert find(a=source).names("technique") == ["a"]


def test_a_taken_name_stays_with_the_first(find):
    catalogue = find(first=good("same", 1.0), second=good("same", 2.0))
    assert catalogue.get("loss", "same").plugin == "first"
    (failure,) = catalogue.failures
    assert failure.plugin == "second"
    assert "'same' is taken by" in failure.reason
    assert failure.reason.endswith("first.py")  # a file has no version


def test_a_name_may_serve_two_kinds(find):
    body = "@dataclass(frozen=True)\nclass T(ganbench.Technique):\n    name = 'good'\n"
    body += "    def rule(self, inner):\n        return inner\n"
    source = HEAD + body + "@ganbench.hookimpl\ndef ganbench_techniques():\n    return [T]\n"
    catalogue = find(a=good(), b=source)
    assert catalogue.failures == []
    assert catalogue.names("loss") == catalogue.names("technique") == ["good"]


def test_an_undecorated_function_is_no_hook(find):
    catalogue = find(a=HEAD + "def ganbench_losses():\n    raise OSError\ndef ganbench_whatever():\n    pass")
    assert catalogue.failures == []


def twins(tmp_path, second=None):
    """Two files of the same name in two folders."""
    paths = []
    for folder, source in (("one", good("one")), ("two", second or good("two"))):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "loss.py")
        paths[-1].write_text(source)
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        return discover(paths)


def test_two_plugins_of_one_name_are_told(tmp_path):
    catalogue = twins(tmp_path)
    (failure,) = catalogue.failures
    assert failure.distribution == str(tmp_path / "two" / "loss.py")
    assert catalogue.names("loss") == ["one"]


def test_the_first_of_one_name_still_observes(tmp_path):
    heard = []
    twins(tmp_path).manager.hook.ganbench_stack_started(stack={"heard": heard})
    assert heard == ["one"]


def test_the_first_of_one_name_keeps_its_source(tmp_path):
    assert twins(tmp_path).get("loss", "one").source_file == str(tmp_path / "one" / "loss.py")


# -- entry points


class Dist:
    def __init__(self, name):
        self.name, self.version = name, "9.1"


class Entry:
    def __init__(self, name, owner, load):
        self.name, self.value, self.dist, self.load = (
            name,
            f"{name}:{owner}",
            Dist(owner) if owner else None,
            load,
        )


def discover_entries(*entries):
    with mock.patch.object(discovery.metadata, "entry_points", return_value=list(entries)):
        return discover()


def fail():
    raise ImportError("gone")


def module(name):
    made = types.ModuleType(f"ganbench_file_plugin_{name}")
    sys.modules[made.__name__] = made
    exec(compile(good(name), "<no file>", "exec", dont_inherit=True), made.__dict__)
    return made


def test_entry_points_are_loaded_one_by_one():
    catalogue = discover_entries(
        Entry("broken", "a-dist", fail),
        Entry("fine", "b-dist", lambda: module("fine")),
        Entry("nobody", None, lambda: module("nobody")),
    )
    assert catalogue.names("loss") == ["fine", "nobody"]
    assert [(f.plugin, f.distribution, f.reason) for f in catalogue.failures] == [
        ("broken", "a-dist", "ImportError: gone")
    ]
    found = catalogue.get("loss", "fine")
    assert (found.distribution, found.version) == ("b-dist", "9.1")
    assert catalogue.plugins["fine"] == "b-dist 9.1"
    assert catalogue.get("loss", "nobody").distribution == "?"


def test_ours_come_first_then_by_owner():
    entries = [Entry(owner, owner, lambda: module("same")) for owner in ("zzz", "aaa", "ganbench")]
    catalogue = discover_entries(*entries)
    assert catalogue.get("loss", "same").distribution == "ganbench"
    assert [failure.distribution for failure in catalogue.failures] == ["aaa", "zzz"]


def test_an_entry_point_seen_twice_is_loaded_once():
    entry = Entry("fine", "b-dist", lambda: module("fine"))
    assert discover_entries(entry, entry).failures == []


# -- the catalogue


def test_an_unknown_name_gets_the_nearest(find):
    catalogue = find(a=good("margin"))
    with pytest.raises(BadInput, match="unknown loss 'margn'; did you mean 'margin'"):
        catalogue.get("loss", "margn")
    with pytest.raises(BadInput, match="unknown metric 'x'; there are none"):
        catalogue.get("metric", "x")


def test_suites_are_found_by_their_stem(find, tmp_path):
    source = (
        HEAD + f"@ganbench.hookimpl\ndef ganbench_suites():\n    return [{str(tmp_path)!r} + '/quick.toml']"
    )
    assert find(a=source).suites == {"quick": tmp_path / "quick.toml"}


def test_source_hash_tells_files_apart(find):
    catalogue = find(a=good("a"), b=good("b"))
    hashes = {catalogue.get("loss", name).source_hash for name in "ab"}
    assert len(hashes) == 2
    assert {len(one) for one in hashes} == {64}
    assert catalogue.get("loss", "a").source_hash == catalogue.get("loss", "a").source_hash


def test_source_hash_is_of_the_content(tmp_path):
    hashes = []
    for folder, value in (("x", 1.0), ("y", 1.0), ("z", 2.0)):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / f"of_{folder}.py"
        path.write_text(good(value=value))
        with mock.patch.object(discovery, "_entry_points", return_value=[]):
            hashes.append(discover([path]).get("loss", "good").source_hash)
        assert hashes[-1] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashes[0] == hashes[1] != hashes[2]


def test_source_hash_changes_with_the_file(find):
    before = find(edited=good(value=1.0)).get("loss", "good")
    first = before.source_hash
    after = find(edited=good(value=2.25)).get("loss", "good")
    assert after.cls().value == 2.25
    assert after.source_hash != first


def test_a_class_without_a_file_is_hashed_by_name():
    made = module("fileless")
    made.Good.__module__ = "nowhere"
    registered = Registered(made.Good, "p", "d", "1")
    assert registered.source_file is None
    assert registered.source_hash != Registered(ToyLoss, "p", "d", "1").source_hash


# -- the commands


@pytest.fixture
def no_others():
    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        yield


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal():
    """What is printed goes to a terminal."""
    with mock.patch("io.StringIO", Terminal):
        yield


LONG = "A loss of 1.0, and of much more besides (after Somebody and Somebody 2019, arXiv:1900.00000, eq. 1)."


def test_a_list_tells_whose_a_component_is(tmp_path, no_others, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(good().replace("A loss of 1.0.", LONG))
    told = ganbench_here("plugins", "list", "--plugin", "mine.py", columns=60).out.splitlines()
    assert f"  good  (mine.py) {LONG}" in told
    assert "  mine: mine.py" in told
    [eager] = [line for line in told if line.startswith("  eager ")]
    assert eager.split()[1:3] == ["Operation", "by"]


def test_a_list_fits_the_terminal(tmp_path, no_others, terminal, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(good().replace("A loss of 1.0.", LONG))
    (tmp_path / "worse.py").write_text(HEAD + "@ganbench.hookimpl\ndef ganbench_loses():\n    return []")
    flags = ("--plugin", "mine.py", "--plugin", "worse.py")
    told = click.unstyle(ganbench_here("plugins", "list", *flags, columns=60).out).splitlines()
    assert max(map(len, told)) <= 60
    assert "  good  (mine.py) A loss of 1.0, and of much more besides (…" in told


def test_a_component_is_shown_as_wide_as_the_terminal(tmp_path, no_others, terminal):
    (tmp_path / "mine.py").write_text(good().replace("A loss of 1.0.", LONG))
    told = click.unstyle(
        ganbench_here("plugins", "show", "good", "--plugin", tmp_path / "mine.py", columns=60).out
    )
    assert all(len(line) <= 60 or str(tmp_path) in line for line in told.splitlines())
    assert LONG in " ".join(told.split())


def test_a_suite_that_names_what_is_refused_is_bad_input(tmp_path):
    (tmp_path / "mine.py").write_text(
        HEAD
        + REFUSED["a misspelt arrow"][1]
        + "@ganbench.hookimpl\ndef ganbench_techniques():\n    return [A]\n"
    )
    flags = ("--plugin", tmp_path / "mine.py", "--set", 'defaults.techniques=["a"]')
    done = ganbench_here("run", TOY, *flags, "--out", tmp_path / "out")
    assert done.code == 2
    assert f"technique 'a' is refused: {REFUSED['a misspelt arrow'][2]}" in done.err
    assert not (tmp_path / "out").exists()
