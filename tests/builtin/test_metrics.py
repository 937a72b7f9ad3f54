"""Built-in metrics against closed forms, other libraries' numbers and brute force."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from ganbench.components.base import create, options_of
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.grid import Grid
from ganbench_builtin.datasets.point import Point
from ganbench_builtin.datasets.ring import Ring
from ganbench_builtin.metrics import ALL
from ganbench_builtin.metrics.distance import Distance
from ganbench_builtin.metrics.energy import EnergyDistance
from ganbench_builtin.metrics.fid import Fid
from ganbench_builtin.metrics.modes import Modes


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flatten(extractor: str, samples: Tensor) -> Tensor:
    return samples.flatten(1).double()


def seen(
    samples: Tensor,
    data: Data | None = None,
    real: Tensor | None = None,
    point: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """What a metric sees of `samples`; real ones are `real`, or the first of the training part."""
    data = data or Data(train=samples, test=samples)
    pool = data.train if real is None else real
    return Evaluation(samples, data, lambda n: pool[:n], flatten, torch.Generator(), point or {})


RING, GRID = Ring().load(None), Grid().load(None)


@pytest.mark.parametrize(("data", "modes"), [(RING, 8), (GRID, 25)])
def test_modes_of_the_data_themselves(data: Data, modes: int) -> None:
    values = Modes().measure(seen(data.train[:50_000], data))
    assert values["modes"] == values["modes-strict"] == modes
    assert values["high-quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.002)
    # E[r^2 | r < 3] of a two-dimensional Gaussian: what the cut at 3 sigma leaves
    cut = math.sqrt((2 - 9 * math.exp(-4.5) / (1 - math.exp(-4.5))) / 2)
    assert values["spread"] == pytest.approx(cut, rel=0.01)
    assert values["reverse-kl"] == pytest.approx((modes - 1) / 2 / 50_000, abs=5e-4)


def test_modes_by_hand() -> None:
    data = Data(RING.train, RING.test, modes=torch.tensor([[0.0], [10.0], [20.0], [30.0]]), sigma=1.0)
    near = [[0.0]] * 5 + [[10.0], [10.5], [9.5]] + [[22.9]]
    far = [[23.1], [25.0], [-3.1], [500.0]] + [[100.0]] * 7
    values = Modes().measure(seen(torch.tensor(near + far), data))
    share = np.array([5, 3, 1]) / 9
    assert values["modes"] == 3
    assert values["modes-strict"] == 3  # 20 samples, 4 modes: one sample is 20% of a fair share
    assert values["high-quality"] == 9 / 20
    assert values["reverse-kl"] == pytest.approx((share * np.log(share * 4)).sum(), abs=1e-12)
    assert values["spread"] == pytest.approx(math.sqrt(0.5 / (4 + 2)))


def test_strict_count_wants_a_fifth_of_a_fair_share() -> None:
    assert RING.modes is not None
    counts = [720, 10, 9, 10, 20, 11, 10, 10]  # 800 samples: a fair share is 100, a fifth of it 20
    samples = RING.modes.repeat_interleave(torch.tensor(counts), dim=0)
    values = Modes().measure(seen(samples, RING))
    assert values["modes"] == 8
    assert values["modes-strict"] == 2


def test_modes_see_a_collapse() -> None:
    assert RING.modes is not None
    values = Modes().measure(seen(RING.modes[[3]].expand(2500, 2), RING))
    assert (values["modes"], values["modes-strict"], values["high-quality"]) == (1, 1, 1)
    assert values["reverse-kl"] == pytest.approx(math.log(8))
    assert values["spread"] == pytest.approx(0, abs=1e-6)
    half = Modes().measure(seen(RING.modes[::2].repeat(625, 1), RING))
    assert half["reverse-kl"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("value", [0.0, 1e30, math.inf, -math.inf, math.nan])
def test_modes_without_one_good_sample(value: float) -> None:
    values = Modes().measure(seen(torch.full((100, 2), value), RING))
    assert (values["modes"], values["modes-strict"], values["high-quality"]) == (0, 0, 0)
    assert values["reverse-kl"] == math.inf
    assert math.isnan(values["spread"])


def test_spread_does_not_blame_a_shift() -> None:
    assert RING.modes is not None
    shifted = RING.modes.double().repeat(2000, 1) + 0.01 + 0.002 * normal(16_000, 2)
    values = Modes().measure(seen(shifted, RING))
    assert values["high-quality"] == 1
    assert values["spread"] == pytest.approx(0.2, rel=0.02)


def test_fid_of_two_known_gaussians() -> None:
    wide = 2 * normal(200_000, 2) + torch.tensor([1.0, 0.0])
    real = normal(200_000, 2, seed=1)
    value = Fid().measure(seen(wide, real=real))["fid"]
    assert value == pytest.approx(3, abs=0.05)


def test_fid_agrees_with_the_formula() -> None:
    mix = np.random.default_rng(0).normal(size=(6, 6))
    x, y = normal(500, 6) @ torch.from_numpy(mix), normal(500, 6, seed=1) + 0.5
    a, b = (np.cov(features.numpy(), rowvar=False) for features in (x, y))
    root = np.real(scipy.linalg.sqrtm(a @ b))
    shift = (x.mean(0) - y.mean(0)).square().sum().item()
    expected = shift + np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert Fid().measure(seen(x, real=y))["fid"] == pytest.approx(expected, rel=1e-9)


def test_fid_of_equal_sets_is_zero() -> None:
    x = normal(300, 5)
    assert 0 <= Fid().measure(seen(x, real=x))["fid"] < 1e-9


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_sample_that_is_not_finite_makes_nan(value: float) -> None:
    samples = RING.train[:100].clone()
    samples[7, 1] = value
    assert math.isnan(Fid().measure(seen(samples, RING))["fid"])
    assert math.isnan(EnergyDistance().measure(seen(samples, RING))["energy-distance"])


def test_fid_of_features_that_are_not_finite_is_nan() -> None:
    def broken(extractor: str, samples: Tensor) -> Tensor:
        return torch.full((len(samples), 3), math.nan)

    evaluation = Evaluation(RING.train[:9], RING, lambda n: RING.train[:n], broken, torch.Generator(), {})
    assert math.isnan(Fid().measure(evaluation)["fid"])


@pytest.mark.parametrize("scale", [1e80, 1e160, 1e300])
def test_fid_that_overflows_is_large_or_inf(scale: float) -> None:
    value = Fid().measure(seen(scale * normal(50, 2), real=normal(50, 2, seed=1)))["fid"]
    assert value > 1e100


def test_fid_of_one_sample_is_nan() -> None:
    assert math.isnan(Fid().measure(seen(normal(1, 2), real=normal(1, 2)))["fid"])


def test_fid_chooses_its_extractor_by_the_data() -> None:
    digits, images = Digits().load(None), torch.zeros(4, 3, 8, 8)
    unlabelled = Data(images, images)
    assert Fid().extractor_for(digits) == "classifier"
    assert Fid().extractor_for(RING) == "identity"
    assert Fid(extractor="inception").extractor_for(digits) == "inception"
    assert Fid().fits(digits) is None
    assert Fid().fits(RING) is None
    assert Fid(extractor="inception").fits(unlabelled) is None
    assert "option extractor" in str(Fid().fits(unlabelled))
    assert "two dimensions" in str(Fid().fits(Point().load(None)))
    assert "labelled" in str(Fid(extractor="classifier").fits(RING))
    asked = []

    def features(extractor: str, samples: Tensor) -> Tensor:
        asked.append(extractor)
        return normal(len(samples), 2)

    Fid().measure(
        Evaluation(
            torch.zeros(9, 1, 8, 8),
            digits,
            lambda n: torch.zeros(n, 1, 8, 8),
            features,
            torch.Generator(),
            {},
        )
    )
    assert asked == ["classifier", "classifier"]


def brute_force(x: np.ndarray, y: np.ndarray) -> float:
    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).mean())

    return 2 * mean(x, y) - mean(x, x) - mean(y, y)


@pytest.mark.parametrize("shape", [(300, 2), (300, 1), (70, 3, 4, 4), (257, 17)])
def test_energy_distance_by_brute_force(shape: tuple[int, ...]) -> None:
    x, y = normal(*shape) + 0.3, 1.5 * normal(*shape, seed=1)
    value = EnergyDistance().measure(seen(x, real=y))["energy-distance"]
    assert value == pytest.approx(brute_force(x.flatten(1).numpy(), y.flatten(1).numpy()), rel=1e-8)


def test_energy_distance_is_the_square_of_scipys() -> None:
    x, y = normal(400, 1) + 0.3, normal(400, 1, seed=1)
    value = EnergyDistance().measure(seen(x, real=y))["energy-distance"]
    theirs = scipy.stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert value == pytest.approx(theirs**2, rel=1e-9)


def test_energy_distance_of_equal_sets_is_zero() -> None:
    assert EnergyDistance().measure(seen(RING.train[:500], RING))["energy-distance"] == pytest.approx(
        0, abs=1e-12
    )


def test_energy_distance_sees_a_symmetric_collapse_that_fid_does_not() -> None:
    assert RING.modes is not None
    half = torch.cdist(RING.train, RING.modes).argmin(1) % 2 == 0
    collapsed, full, real = RING.train[half][:2500], RING.test[:2500], RING.train[-2500:]
    good, bad = (EnergyDistance().measure(seen(x, RING, real))["energy-distance"] for x in (full, collapsed))
    assert bad > 20 * good
    assert Fid().measure(seen(collapsed, RING, real))["fid"] < 0.02


def test_distance_is_the_norm_of_all_parameters() -> None:
    data = Point().load(None)
    point = {"generator": torch.tensor([3.0]), "discriminator": torch.tensor([4.0, 12.0])}
    assert Distance().measure(seen(data.train, data, point=point)) == {"distance": 13.0}
    point["generator"] = torch.tensor([math.nan])
    assert math.isnan(Distance().measure(seen(data.train, data, point=point))["distance"])


def test_metrics_say_on_which_data_they_do_not_fit() -> None:
    digits, point = Digits().load(None), Point().load(None)
    assert Modes().fits(RING) is None
    assert "ring or grid" in str(Modes().fits(digits))
    assert "ring or grid" in str(Modes().fits(point))
    assert Distance().fits(point) is None
    assert "point" in str(Distance().fits(RING))
    one = torch.ones(4, 1)
    assert Distance().fits(Data(one, one)) is not None
    assert EnergyDistance().fits(digits) is None


OF_GAMES = {"jacobian-eigenvalues", "path-angle", "generator-conditioning"}


@pytest.mark.parametrize("cls", ALL)
def test_a_metric_gives_the_values_it_declares(cls: type) -> None:
    metric = cls()
    assert create(cls, options_of(metric)) == metric
    if metric.fits(RING) or metric.reads or metric.name in OF_GAMES:
        pytest.skip("it needs more than points: its own tests have that")
    before = torch.get_rng_state()
    given = metric.measure(seen(RING.train[:64], RING, point={"a": torch.ones(2)}))
    assert list(given) == list(metric.values)
    assert all(isinstance(value, float) for value in given.values())
    assert torch.equal(torch.get_rng_state(), before)
