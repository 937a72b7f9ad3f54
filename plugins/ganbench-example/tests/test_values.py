"""Each component against values worked out by hand."""

import csv
import math
from typing import NamedTuple

import ganbench
import pytest
import torch

from ganbench_example import (
    NormalisedGradient,
    OutcomeTable,
    RadialWasserstein,
    ResidualMLPGAN,
    TemperedLogistic,
)


def test_at_the_boundary_the_loss_is_the_temperature_times_log_two():
    out = {"real_logits": torch.zeros(3), "fake_logits": torch.zeros(3)}
    loss = TemperedLogistic(temperature=0.5)
    assert loss.discriminator(out).item() == pytest.approx(2 * 0.5 * math.log(2))
    assert loss.generator(out).item() == pytest.approx(0.5 * math.log(2))


def test_a_cold_loss_is_the_perceptrons():
    out = {"real_logits": torch.tensor([1.0, -2.0]), "fake_logits": torch.tensor([3.0, -4.0])}
    assert TemperedLogistic(temperature=1e-3).discriminator(out).item() == pytest.approx(1.0 + 1.5)


class Flow(NamedTuple):
    gradients: dict


@pytest.mark.parametrize(("power", "length"), [(0.0, 5.0), (0.5, math.sqrt(5)), (1.0, 1.0)])
def test_a_gradient_keeps_its_direction(power, length):
    field = NormalisedGradient(power).field(lambda *_: Flow({"generator": torch.tensor([3.0, 4.0])}))
    gradient = field(("generator",), {}, {}, {}).gradients["generator"]
    torch.testing.assert_close(gradient, length * torch.tensor([0.6, 0.8]))


def test_a_gradient_of_zero_stays_one():
    field = NormalisedGradient(1.0).field(lambda *_: Flow({"generator": torch.zeros(2)}))
    assert not field(("generator",), {}, {}, {}).gradients["generator"].any()


def test_shapes_of_the_networks():
    nets = ResidualMLPGAN(width=8, blocks=1, latent=3).networks(ganbench.DataSpec((1, 4, 4)))
    fake = nets["generator"](torch.zeros(5, 3))
    assert fake.shape == (5, 1, 4, 4)
    assert nets["discriminator"](fake).shape == (5, 1)


def test_circles_of_two_radii_are_their_difference_apart():
    angle = torch.arange(8) * (2 * math.pi / 8)
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)

    class Evaluation:
        samples = 3 * circle.roll(1, 0)

        def real(self, n):
            return circle

    measured = RadialWasserstein().measure(Evaluation())
    assert measured == {"radial-wasserstein": pytest.approx(2.0, abs=1e-6)}


def test_a_line_a_run(tmp_path):
    logger = OutcomeTable()
    run = {"variant": "a, b", "seed": 1, "outcome": "diverged", "onset_step": 7, "reason": 'loss "nan"'}
    logger.opened(tmp_path, {})
    logger.finished({}, [run, run | {"seed": 2}])
    logger.opened(tmp_path, {})
    with (tmp_path / "outcomes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert rows[0]["reason"] == 'loss "nan"'
