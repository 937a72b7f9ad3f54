"""The suites that are shipped: each is sound, says what it asks and what it costs, and is in the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ganbench.components.base import create
from ganbench.plugins.discovery import discover
from ganbench.suites.load import load_suite

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "benchmarks").glob("*.toml"))
ASKED = {
    *("dirac", "ring8", "grid25", "digits", "mnist", "stacked-mnist", "vae-collapse", "conditional"),
    *("cyclegan", "gaugan", "techniques", "quickstart", "zoo", "failures"),
}


@pytest.fixture(scope="module")
def catalogue():
    return discover()


def test_all_are_there():
    assert {path.stem for path in SUITES} == ASKED


def test_all_are_in_the_wheel():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert set(wheel["wheel"]["force-include"]) == {f"benchmarks/{path.name}" for path in SUITES}


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suite_is_sound(catalogue, path):
    """Names, options, fits; of data that lie in the package also whether the metrics can be taken."""
    suite = load_suite(path, catalogue)
    header = path.read_text("utf-8").partition("\n\nschema")[0]
    assert header.startswith("# ")
    assert "?" in header
    assert "# Cost:" in header
    for variant in suite.variants:
        assert variant.unavailable is None
        entry = variant.config["dataset"]
        dataset = catalogue.get("dataset", entry["name"]).cls
        if dataset.places:  # its files are not here
            continue
        data = create(dataset, entry["options"] | SMALL.get(entry["name"], {})).load(None)
        for metric in variant.config["evaluate"]["metrics"]:
            made = create(catalogue.get("metric", metric["name"]).cls, metric["options"])
            assert made.fits(data) is None


SMALL = {"stacked-digits": {"count": 100}}


def test_every_technique_is_tried_in_techniques(catalogue):
    suite = load_suite(ROOT / "benchmarks" / "techniques.toml", catalogue)
    tried = {entry["name"] for variant in suite.variants for entry in variant.config["techniques"]}
    of_vaes = {"kl-annealing", "cyclical-annealing"}  # in vae-collapse
    assert tried | of_vaes == set(catalogue.names("technique"))


def test_every_model_is_tried_in_zoo(catalogue):
    suite = load_suite(ROOT / "benchmarks" / "zoo.toml", catalogue)
    tried = {variant.config["model"]["name"] for variant in suite.variants}
    assert tried == set(catalogue.names("model"))
