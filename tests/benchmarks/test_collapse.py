"""The collapse battery: which indicator sees which fault, and what the verdict is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks.collapse import __main__ as command
from benchmarks.collapse import subjects
from benchmarks.collapse.battery import INVISIBLE, NOT_OF_SAMPLES, Battery, Healthy, Table
from benchmarks.collapse.faults import FAULTS
from benchmarks.collapse.verdicts import BEYOND, ONSET, Judged, judged
from ganbench.game.draws import stream
from ganbench.judging.thresholds import Thresholds
from ganbench.plugins.discovery import Catalogue

pytestmark = pytest.mark.xdist_group("collapse")  # one worker takes the tables

DOCUMENT = Path(__file__).parents[2] / "docs" / "collapse.md"
LOST = ["half left, neighbours", "one mode left", "a point", "constant zero", "copies of 10 training samples"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extractors")


@pytest.fixture(scope="module")
def ring(builtins: Catalogue, folder: Path) -> Battery:
    return Battery(subjects.ring(1500), builtins, folder)


@pytest.fixture(scope="module")
def digits(builtins: Catalogue, folder: Path) -> Battery:
    return Battery(subjects.digits(), builtins, folder)


@pytest.fixture(scope="module")
def points(ring: Battery) -> Table:
    return ring.table(20)


@pytest.fixture(scope="module")
def images(digits: Battery) -> Table:
    return digits.table(20)


@pytest.fixture(params=["points", "images"])
def table(request: pytest.FixtureRequest) -> Table:
    return request.getfixturevalue(request.param)


def test_what_stands_out() -> None:
    lower = Healthy("lower", (1.0, 1.1, 0.9, 1.0))
    assert [lower.verdict(value) for value in (1.05, 1.2, 2.0, 0.8, 0.1)] == ["", "", "worse", "", "better"]
    assert [lower.verdict(value) for value in (math.nan, math.inf, -math.inf)] == ["worse", "worse", "better"]
    higher = Healthy("higher", (8.0, 8.0, 8.0))
    assert [higher.verdict(value) for value in (8.0, 7.0, 9.0)] == ["", "worse", "better"]
    assert Healthy("higher", (math.nan, math.nan)).verdict(math.nan) == ""


def test_the_healthy_resamples_of_images_are_distinct_and_held_out() -> None:
    subject = subjects.digits(300)
    assert isinstance(subject, subjects.Images)
    samples = subject.healthy(stream("cpu", 0, "test"))
    assert len(samples.unique(dim=0)) == 300
    assert torch.cdist(samples.flatten(1), subject.pool.flatten(1)).min(1).values.max() < 1e-2


@pytest.mark.slow
def test_every_metric_of_samples_is_taken(ring: Battery, digits: Battery, builtins: Catalogue) -> None:
    assert set(NOT_OF_SAMPLES) <= set(builtins.names("metric"))
    assert {"modes", "energy-distance", "fid", "kid", "precision-recall", "birthday"} <= set(ring.metrics)
    assert {"fid", "inception-score", "vendi", "density-coverage", "ndb"} <= set(digits.metrics)


@pytest.mark.slow
def test_every_fault_is_seen_but_those_that_cannot_be(table: Table) -> None:
    assert set(table.faults) == set(FAULTS)
    assert {fault for fault in table.faults if not table.seen_by(fault)} == set(INVISIBLE)


@pytest.mark.slow
def test_nothing_that_is_not_a_number_looks_good(table: Table) -> None:
    assert table.seen_by("all samples are NaN") == list(table.healthy)
    assert table.seen_by("one sample is NaN", "better") == []


@pytest.mark.slow
def test_a_symmetric_collapse_hides_from_the_moments_of_points(points: Table) -> None:
    lost, blind = "every other mode lost", {"fid", "kid", "vendi", "precision", "density", "high-quality"}
    seen = set(points.seen_by(lost))
    assert not seen & blind
    assert {"modes", "modes-strict", "reverse-kl", "energy-distance", "kid (gaussian)", "recall"} <= seen
    assert {"coverage", "ndb", "jsd", "sliced-wasserstein", "birthday-ratio"} <= seen
    assert points.faults[lost]["modes"] == 4
    assert points.faults[lost]["reverse-kl"] == pytest.approx(math.log(2), abs=0.02)
    assert {"fid", "kid"} <= set(points.seen_by("half left, neighbours"))


@pytest.mark.slow
def test_each_fault_of_points_is_seen_by_what_is_made_for_it(points: Table) -> None:
    for fault, indicator in {
        "90% in one mode": "reverse-kl",
        "modes shrunk x .1": "spread",
        "modes blurred": "high-quality",
        "10% outliers": "precision",
        "copies of 10 training samples": "birthday-ratio",
        "a point": "diversity-ratio",
    }.items():
        assert points.verdict(fault, indicator) == "worse", fault
    assert points.verdict("90% in one mode", "modes") == ""  # all are there
    assert points.verdict("modes shrunk x .1", "precision") == "better"
    assert points.faults["modes shrunk x .1"]["high-quality"] == 1
    assert points.verdict("modes blurred", "spread") == "better"
    assert points.faults["modes shrunk x .1"]["spread"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.slow
def test_features_of_images_show_lost_classes(images: Table) -> None:
    for fault in ("every other mode lost", *LOST, "90% in one mode"):
        assert {"fid", "coverage", "inception-score", "energy-distance"} <= set(images.seen_by(fault)), fault
    assert {"recall", "fid"} <= set(images.seen_by("modes shrunk x .1"))
    assert images.verdict("modes shrunk x .1", "precision") in ("", "better")
    assert {"precision", "density"} <= set(images.seen_by("10% outliers"))


@pytest.fixture(scope="module", params=["ring", "digits"])
def verdicts(request: pytest.FixtureRequest) -> dict[str, Judged]:
    return {each.fault: each for each in judged(request.getfixturevalue(request.param))}


def test_a_collapse_is_a_failure_from_the_step_where_it_begins(verdicts: dict[str, Judged]) -> None:
    for fault in (*LOST, "90% in one mode"):
        found = verdicts[fault].verdict
        assert found.outcome in ("collapsed", "unstable"), fault
        assert found.onset_step == ONSET, fault


def test_nothing_healthy_is_called_a_failure(verdicts: dict[str, Judged]) -> None:
    assert not verdicts["none"].failed
    assert not verdicts["copies of the training set"].failed  # no indicator sees it


def test_each_fault_that_no_verdict_names_has_a_reason(verdicts: dict[str, Judged]) -> None:
    finished = {name for name, each in verdicts.items() if not each.failed}
    assert finished - {"none"} <= set(BEYOND)


def test_the_outcome_of_each_fault(verdicts: dict[str, Judged]) -> None:
    found = {name: each.verdict.outcome for name, each in verdicts.items()}
    points = verdicts["every other mode lost"].verdict.reason.startswith("mode collapse")
    for fault in ("every other mode lost", "half left, neighbours", "one mode left", "a point"):
        assert found[fault] == ("collapsed" if points else "unstable"), fault
    for fault in ("one sample is NaN", "all samples are NaN"):
        assert found[fault] == "diverged", fault
        assert verdicts[fault].verdict.onset_step == ONSET


def test_half_of_the_modes_is_none_to_who_asks_for_less(ring: Battery) -> None:
    lost = {name: FAULTS[name] for name in ("every other mode lost",)}
    for ratio, outcome in ((0.5, "finished"), (0.6, "collapsed")):
        none, half = judged(ring, lost, Thresholds(modes_ratio=ratio), metrics=("modes",))
        assert not none.failed
        assert half.verdict.outcome == outcome
    assert "4 of 8 modes" in half.verdict.reason


def test_the_command_writes_the_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(command.SUBJECTS, "ring", lambda: subjects.ring(200))
    out = tmp_path / "page.md"
    before = torch.get_num_threads()
    try:
        assert command.main(["--subjects", "ring", "--resamples", "2", "--out", str(out)]) == 0
    finally:
        torch.set_num_threads(before)
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "`python -m benchmarks.collapse --subjects ring --resamples 2`" in text
    assert "| every other mode lost | " in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--subjects", "rng"], "unknown subject 'rng'; did you mean 'ring'"),
        (["--resamples", "1"], "2 or more"),
    ],
)
def test_the_command_refuses(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert command.main(arguments) == 2
    assert told in capsys.readouterr().err


def test_the_document_has_every_fault_and_indicator(ring: Battery, digits: Battery) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (*FAULTS, *ring.directions, *digits.directions, "stacked-modes"):
        assert name in text
