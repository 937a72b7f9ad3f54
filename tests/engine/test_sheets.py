"""Sample sheets, against pictures drawn by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from run_cli import TOY, ganbench_here
from toys import variant

import ganbench
from ganbench.components.data import Data
from ganbench.engine import sheets
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.program import Program
from ganbench.engine.trainers import Runs, stacked


def opened(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)))


def images(channels: int, n: int = sheets.IMAGES) -> Data:
    one = torch.zeros(n, channels, 4, 6, dtype=torch.uint8)
    return Data(train=one, test=one)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_stand_in_a_square(channels):
    samples = torch.linspace(-1, 1, sheets.IMAGES)[:, None, None, None].expand(-1, channels, 4, 6).clone()
    samples[5, 0, 0, 0] = torch.nan
    samples[6] = torch.inf
    pixels = opened(sheets.sheet(samples, images(channels)))
    assert pixels.shape == (4 * 5 - 1, 4 * 7 - 1, *([3] if channels == 3 else []))
    grey = pixels if channels == 1 else pixels[..., 1]
    for i in (0, 3, 7, 15):
        row, column = divmod(i, 4)
        assert grey[row * 5 + 2, column * 7 + 2] == round((i / 15) * 255)
    assert grey[5 + 1, 2 * 7 + 1] == 255  # infinite
    assert (pixels[5, 7] if channels == 1 else pixels[5, 7, 0]) == 0  # not a number
    assert grey[4, 0] == 127  # the line between


def test_reconstructions_stand_below_their_inputs():
    samples = torch.full((sheets.IMAGES, 1, 4, 6), -1.0)
    inputs = torch.linspace(-1, 1, sheets.IMAGES)[:, None, None, None].expand(-1, 1, 4, 6)
    pixels = opened(sheets.sheet(sheets.with_pairs(samples, inputs, inputs / 2), images(1)))
    assert pixels.shape == (8 * 5 - 1, 4 * 7 - 1)
    grey = pixels[2::5, 2::7].astype(float) / 127.5 - 1
    assert (grey[:4] == -1).all()
    shown = inputs[:8, 0, 0, 0].numpy().reshape(2, 4)
    np.testing.assert_allclose(grey[[4, 6]], shown, atol=0.01)
    np.testing.assert_allclose(grey[[5, 7]], shown / 2, atol=0.01)


def test_points_lie_where_they_are():
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    data = Data(train=corners, test=corners)
    samples = torch.tensor([[0.0, 0.0], [-1.0, 1.0], [torch.nan, 0.0], [100.0, 0.0]])
    pixels = opened(sheets.sheet(samples, data))
    dark = np.argwhere(pixels < 100)
    side = len(pixels) - 1
    inside = side * 0.15 / 1.3  # the margin
    expected = np.array([[inside, inside], [side / 2, side / 2], [side / 2, side]])  # rows go down
    assert np.abs(dark - expected).max() <= 1
    assert (pixels == 205).sum() == 2


@pytest.mark.parametrize(("shape", "count"), [((2,), 1000), ((1,), 0), ((2, 4, 4), 0), ((3, 4, 4), 16)])
def test_what_can_be_drawn(shape, count):
    data = Data(train=torch.zeros(1, *shape), test=torch.zeros(1, *shape))
    assert sheets.wanted(data) == count


def test_a_run_has_its_sheets(tmp_path):
    ganbench_here("run", TOY, "--out", tmp_path / "toy", "--seeds", 1)
    results = ganbench.load(tmp_path / "toy")
    found = results.sheets
    assert set(found["key"]) <= set(results.runs["key"])
    assert len(found) == len(found.drop_duplicates(["key", "step"]))
    by_run = found.groupby("key")["step"]
    budget = results.runs.set_index("key")["budget"]
    finished = results.runs.loc[results.runs["outcome"] == "finished", "key"]
    assert len(finished)
    for key in finished:
        assert 1 <= by_run.get_group(key).size <= 8
        assert by_run.get_group(key).max() == budget[key]
    assert all(opened(path.read_bytes()).shape == (160, 160) for path in found["path"])


def test_latents_of_a_sheet_are_always_the_same_and_disturb_nothing(toys, blob):
    program = Program(variant(), toys, blob)
    runs = Runs((0, 1), ({}, {}))
    settings = {"samples": 10, "metrics": [{"name": "toy-mean", "options": {}}]}
    state = stacked([program.initial(seed, {}) for seed in runs.seeds])
    evaluator = Evaluator(settings, toys, program, runs, blob)
    first = evaluator.measure(state, 1, [0, 1])
    picture = evaluator.sheet(state, 0)
    assert picture == evaluator.sheet(state, 0)
    assert picture != evaluator.sheet(state, 1)
    assert evaluator.measure(state, 1, [0, 1]) == first


def test_where_weights_are_averaged_both_are_measured(toys, blob):
    # the toy's technique measures where each player was before its last move
    program = Program(variant(techniques=("toy-penalty",)), toys, blob)
    runs = Runs((0,), ({},))
    settings = {"samples": 10, "metrics": [{"name": "toy-mean", "options": {}}]}
    evaluator = Evaluator(settings, toys, program, runs, blob)
    from ganbench.engine.trainers import Looped

    looped = Looped(program, runs, blob, torch.device("cpu"))
    looped.advance(3)
    rows = evaluator.measure(looped.state(), 3, [0])
    assert [row["weights"] for row in rows] == ["raw", "ema"]
    assert rows[0]["value"] != rows[1]["value"]
    plain = Evaluator(settings, toys, Program(variant(), toys, blob), runs, blob)
    assert plain.measure(looped.state(), 3, [0])[0]["value"] == rows[0]["value"]
