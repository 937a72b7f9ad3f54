from __future__ import annotations

import importlib.abc
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
import torch

TOYS = Path(__file__).with_name("toys.py")
BLOCK = "GANBENCH_TESTS_BLOCK_BUILTINS"
"""Set it to run the core's tests where the built-ins cannot be imported."""

torch.set_num_threads(1)
hypothesis.settings.register_profile("ganbench", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("ganbench")


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] == "ganbench_builtin":
            raise ImportError("ganbench_builtin is blocked")


if os.environ.get(BLOCK):
    sys.meta_path.insert(0, Blocker())


SLOW_TIMEOUT = 1800
"""Seconds for a slow test; the others have the `timeout` of pyproject.toml."""


# A shell starts its background jobs with Ctrl-C ignored, and so would be every command that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--shard", default="1/1", help="I/N: only the I-th of N shares of the tests")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs CUDA"))
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
    share, shares = map(int, config.getoption("--shard").split("/"))
    if shares > 1:
        chosen, others = split(items, share, shares)
        items[:] = chosen
        config.hook.pytest_deselected(items=others)


def split(items, share, shares):
    """A share's tests, and the others. Dealt in turn: a parametrised test is spread over all shares."""
    places = {}
    for item in items:
        places.setdefault(group(item), len(places))
    chosen = [item for item in items if places[group(item)] % shares == share - 1]
    return chosen, [item for item in items if places[group(item)] % shares != share - 1]


def group(item):
    """The name of the group that shares a costly fixture, or the test's own."""
    marker = item.get_closest_marker("xdist_group")
    return marker.kwargs.get("name") or marker.args[0] if marker else item.nodeid


@pytest.fixture
def without_page(monkeypatch):
    """Runs in this process write an empty report.html: each takes a second, and others test what is in it."""

    def page(results, folder, warn):
        path = folder / "report.html"
        path.touch()
        return [path]

    monkeypatch.setattr("ganbench.report.markdown._page", page)


@pytest.fixture
def write(tmp_path):
    """Writes a suite file of that text."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "suite.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture(scope="session")
def toys():
    """A catalogue of the core's executors and the toys, whatever else is installed."""
    from ganbench.plugins import discovery

    with mock.patch.object(discovery, "_entry_points", return_value=[]):
        catalogue = discovery.discover([TOYS])
    assert catalogue.failures == []
    return catalogue


@pytest.fixture(scope="session")
def blob(toys):
    return toys.get("dataset", "toy-blob").cls().load(None)


@pytest.fixture(scope="session")
def builtins():
    """A catalogue as users have it."""
    from ganbench.plugins import discovery

    return discovery.discover()
