"""Intervals and corrected tests hold what they promise, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import coverage


@pytest.fixture(scope="module")
def rows():
    return list(coverage.rows(trials=1000))


@pytest.mark.slow
def test_recommended_intervals_hold_the_truth(rows):
    recommended = [row for row in rows if "bootstrap" not in row.what]
    assert len(recommended) == 9
    for row in recommended:
        assert min(row.shares) > 0.90, row  # .95 promised; a thousand trials are good for .02


@pytest.mark.slow
def test_null_suites_raise_few_alarms():
    assert max(coverage.false_alarms(suites=1000).shares) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 1000)


def test_the_table_goes_into_its_page(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{coverage.BEGIN}\nold\n{coverage.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(coverage, "rows", lambda trials: iter([coverage.Row("a", "b", (0.9, 1.0, 0.5))]))
    monkeypatch.setattr(coverage, "false_alarms", lambda suites: coverage.Row("c", "d", (0.0, 0.0, 0.0)))
    monkeypatch.setattr("sys.argv", ["coverage", "--out", str(page)])
    coverage.main()
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| a | b | 0.900 | 1.000 | 0.500 |" in text
