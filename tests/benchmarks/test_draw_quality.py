"""The measurements of draws end in figures."""

from __future__ import annotations

import re

import torch

from benchmarks.draws import quality
from benchmarks.speed import draws
from ganbench.game.draws import Draw, draw_steps


def test_shares_of_torchs_time():
    by_c, by_tensors = draws.measured("uniform", 2, seconds=0.0)
    assert 0 < by_c.low <= by_c.median <= by_c.high
    assert by_tensors.median > 0


def test_the_page_has_every_measure():
    measured = quality.measured(1)
    page = quality.page(measured)
    assert f"{quality.SEEDS * quality.STEPS * quality.COUNT:,} draws" in page
    for name in measured.scores():
        assert re.search(rf"^\| {re.escape(name)} \| [+-]\d+\.\d\d \|$", page, re.M)
    assert len(re.findall(r"^\| [1-6] \| [\d,]+ \|", page, re.M)) == len(quality.TAILS)


def test_what_is_not_normal_is_seen():
    wrong = quality.Quality()
    declared, seeds = {"noise": Draw((quality.COUNT,))}, tuple(range(quality.SEEDS))
    steps = range(quality.STEPS)
    drawn = draw_steps(declared, seeds, "quality", steps, torch.float64, "cpu")["noise"].numpy()
    drawn[:, 1] = 0.05 * drawn[:, 0] + drawn[:, 1]  # two seeds that are alike
    wrong.add(drawn * 1.01)
    scores = wrong.scores()
    assert scores["mean of x^2"] > 5
    assert scores["2016 pairs of seeds"] > 5
    assert wrong.fit() < 1e-3
