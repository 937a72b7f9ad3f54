"""Exported files read back as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_results import make
from run_cli import ganbench_here as ganbench

from ganbench import load
from ganbench.storage.stack_folder import stack_folders


@pytest.fixture
def folder(tmp_path):
    """Results with hostile text, infinities and numbers that are hard to print."""
    folder = make(
        tmp_path / "made", ["plain", 'a,"b"\n=c'], 4, steps=100, reason='said "no",\nthen\t<b>é😀', seed=3
    )
    stack = stack_folders(folder)[0]
    rows = stack.evals()
    rows.loc[:3, "value"] = [np.inf, -np.inf, 0.1 + 0.2, 5e-324]
    stack.write_evals(rows)
    return folder


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as text, as CSV and other programs have them."""
    return frame.astype({c: str for c in frame if isinstance(frame[c].dtype, pd.CategoricalDtype)})


@pytest.mark.parametrize("name", ["runs", "evaluations", "traces"])
def test_parquet_reads_back_exactly(folder, tmp_path, name):
    done = ganbench("export", folder, "--to", "parquet", "-o", tmp_path / "out")
    assert done.code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "evaluations.parquet",
        "runs.parquet",
        "traces.parquet",
    ]
    found = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
    pd.testing.assert_frame_equal(plain(found), plain(getattr(load(folder), name)), check_exact=True)


@pytest.mark.parametrize("name", ["runs", "evaluations", "traces"])
def test_csv_reads_back_exactly(folder, tmp_path, name):
    assert ganbench("export", folder, "--to", "csv", "-o", tmp_path / "out").code == 0
    frame = plain(getattr(load(folder), name))
    found = pd.read_csv(tmp_path / "out" / f"{name}.csv", dtype=dict(frame.dtypes))
    assert found.columns.tolist() == frame.columns.tolist()
    for column in frame:
        if pd.api.types.is_numeric_dtype(frame[column]):
            pd.testing.assert_series_equal(found[column], frame[column], check_exact=True)
        else:  # CSV cannot tell an empty text from none
            assert found[column].fillna("").tolist() == frame[column].fillna("").tolist()


def test_what_the_folder_is_called_and_who_needs_which_option(folder, tmp_path):
    done = ganbench("export", folder, "--to", "csv")
    assert done.code == 0
    assert f"wrote {folder / 'export' / 'runs.csv'}" in done.out
    assert len(load(folder).runs) == 8  # the export is no part of the results
    assert ganbench("export", folder).code == 2
    done = ganbench("export", folder, "--to", "xlsx")
    assert done.code == 2
    assert "'xlsx' is not one of 'parquet', 'csv'" in done.err
    (tmp_path / "file").write_text("")
    done = ganbench("export", folder, "--to", "csv", "-o", tmp_path / "file")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "nothing can be written to" in done.err
