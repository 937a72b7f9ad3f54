"""Rows of evaluations tell what their values depend on."""

from __future__ import annotations

import pandas as pd
from run_cli import RING, needs_builtins
from run_cli import ganbench_here as ganbench

from ganbench import load


@needs_builtins
def test_rows_tell_the_extractor_its_digest_the_dimensions_and_n_of_both_sides(tmp_path):
    sets = ["defaults.steps=4", "defaults.evaluate.every=4", "defaults.evaluate.samples=60"]
    sets += ['defaults.evaluate.metrics=["fid", "kid", "modes", "energy-distance"]']
    done = ganbench("run", RING, *(part for text in sets for part in ("--set", text)), "--out", tmp_path)
    assert done.code == 0, done.err
    rows = load(tmp_path).evaluations.set_index("metric")
    assert set(rows["n"]) == {60}
    for metric in ("fid", "kid"):
        own = rows.loc[metric]
        assert set(own["extractor"]) == {"identity"}
        assert set(own["dimensions"]) == {2}
        assert set(own["n_real"]) == {60}
        assert own["extractor_digest"].nunique() == 1
        assert own["extractor_digest"].str.len().min() > 0
    assert rows.loc["modes", ["dimensions", "extractor_digest"]].isna().all(axis=None)
    assert pd.isna(rows.loc["modes", "n_real"]).all()
    assert len(load(tmp_path).compare("fid", alpha=0.1)) == 1
