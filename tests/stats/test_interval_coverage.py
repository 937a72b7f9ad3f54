"""Intervals and corrected tests hold what they promise, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import interval_coverage

pytestmark = pytest.mark.xdist_group("interval-coverage")


@pytest.fixture(scope="module")
def rows():
    return list(interval_coverage.rows(trials=1000))


@pytest.mark.slow
def test_recommended_intervals_hold_the_truth(rows):
    recommended = [row for row in rows if "bootstrap" not in row.what and "infinite" not in row.data]
    assert len(recommended) == 20
    for row in recommended:
        assert min(row.shares) > 0.89, row  # .95 promised; a thousand trials are good for .02
    assert np.mean([row.shares for row in recommended]) > 0.95


@pytest.mark.slow
def test_bootstraps_alone_do_not_at_five_seeds(rows):
    assert max(row.shares[0] for row in rows if "bootstrap" in row.what) < 0.95


@pytest.mark.slow
def test_intervals_of_what_is_infinite_hold_it_but_where_no_run_failed(rows):
    (shares,) = [row.shares for row in rows if "infinite" in row.data and "iqm_interval" in row.what]
    assert shares[0] == pytest.approx(1 - 0.7**5, abs=0.04)
    assert min(shares[1:]) > 0.95


@pytest.mark.slow
def test_null_suites_raise_few_alarms():
    for row in interval_coverage.false_alarms(suites=1000):
        assert max(row.shares) <= 0.05, row
        assert max(row.shares) > 0.01, "the tests can find something"


def test_the_table_goes_into_its_page(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        f"before\n{interval_coverage.BEGIN}\nold\n{interval_coverage.END}\nafter\n", encoding="utf-8"
    )
    monkeypatch.setattr(
        interval_coverage, "rows", lambda trials: iter([interval_coverage.Row("a", "b", (0.9, 1.0, 0.5))])
    )
    monkeypatch.setattr(
        interval_coverage,
        "false_alarms",
        lambda suites: iter([interval_coverage.Row("c", "d", (0.0, 0.0, 0.0))]),
    )
    monkeypatch.setattr("sys.argv", ["coverage", "--out", str(page)])
    interval_coverage.main()
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| a | b | 0.900 | 1.000 | 0.500 |" in text
