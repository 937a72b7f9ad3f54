"""Intervals and corrected tests hold what they promise, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats as scipy_stats

from benchmarks import interval_coverage
from ganbench import stats


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bca_is_scipys():
    values = np.random.default_rng(3).exponential(size=25)
    found = interval_coverage.bca_interval(
        values, lambda drawn: drawn.mean(axis=-1), np.random.default_rng(0), resamples=20_000
    )
    expected = scipy_stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), rel=0.02)


def test_bca_falls_back_where_it_is_not_defined():
    for values in (np.ones(6), np.array([1.0, 2.0, math.inf, math.inf])):
        assert interval_coverage.bca_interval(
            values, stats.median, np.random.default_rng(0)
        ) == stats.bootstrap_interval(values, stats.median, np.random.default_rng(0))


pytestmark = pytest.mark.xdist_group("interval-coverage")


@pytest.fixture(scope="module")
def rows():
    return list(interval_coverage.rows(trials=1000))


@pytest.mark.slow
def test_recommended_intervals_hold_the_truth(rows):
    recommended = [row for row in rows if "bootstrap" not in row.what and "infinite" not in row.data]
    assert len(recommended) == 25
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
