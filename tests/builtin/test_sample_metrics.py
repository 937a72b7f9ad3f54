"""Metrics of samples against closed forms, counts by hand and loops; and on inputs that break things."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import torch
from run_cli import ganbench_here
from toys import variant

from ganbench.components.base import create, options_of
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench.engine.evaluate import Evaluator
from ganbench.engine.program import Program
from ganbench.engine.trainers import Looped, Runs
from ganbench.errors import BadInput
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.ring import Ring
from ganbench_builtin.metrics import ALL
from ganbench_builtin.metrics._features import FeatureMetric, remembered
from ganbench_builtin.metrics._pairs import distances, radii, sum_within
from ganbench_builtin.metrics.birthday import Birthday
from ganbench_builtin.metrics.density_coverage import DensityCoverage
from ganbench_builtin.metrics.diversity import Diversity
from ganbench_builtin.metrics.energy import EnergyDistance
from ganbench_builtin.metrics.fid import Fid
from ganbench_builtin.metrics.inception_score import InceptionScore
from ganbench_builtin.metrics.kid import Kid
from ganbench_builtin.metrics.ndb import Ndb
from ganbench_builtin.metrics.precision_recall import PrecisionRecall
from ganbench_builtin.metrics.sliced_wasserstein import SlicedWasserstein
from ganbench_builtin.metrics.vendi import Vendi

OF_FEATURES = [
    Fid(),
    Kid(),
    Kid(kernel="gaussian"),
    Kid(subsets=2, subset_size=50),
    PrecisionRecall(),
    DensityCoverage(),
    Vendi(),
    Diversity(),
    Ndb(bins=8),
    Birthday(),
]
ON_POINTS = [*OF_FEATURES, SlicedWasserstein(), EnergyDistance()]
RING, DIGITS = Ring().load(None), Digits().load(None)
PART = torch.cdist(RING.train, RING.modes).argmin(1)


def of(metrics):
    names = [f"{type(metric).__name__}{i}" for i, metric in enumerate(metrics)]
    return pytest.mark.parametrize("metric", metrics, ids=names)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def points(*rows):
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), -1)


def flatten(extractor, samples):
    return samples.flatten(1).double()


def seen(samples, real, features=flatten, seed=0, **more):
    generator = torch.Generator().manual_seed(seed)
    return Evaluation(samples, Data(real, real), lambda n: real, features, generator, {}, **more)


def measured(metric, samples, real, **more):
    return metric.measure(seen(samples, real, **more))


def value(metric, samples, real, **more):
    return next(iter(measured(metric, samples, real, **more).values()))


# -- KID


def test_kid_of_two_points_is_the_kernels():
    a, b = points([3, 0]).expand(20, 2), points([1, 2]).expand(30, 2)
    cubic = (9 / 2 + 1) ** 3 + (5 / 2 + 1) ** 3 - 2 * (3 / 2 + 1) ** 3
    assert value(Kid(), a, b) == pytest.approx(cubic, rel=1e-12)
    gaussian = 2 - 2 * math.exp(-8 / (2 * 1.5**2))
    assert value(Kid(kernel="gaussian", bandwidth=1.5), a, b) == pytest.approx(gaussian, rel=1e-12)


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_kid_by_loops_with_sides_of_unequal_size(kernel):
    def k(x, y):
        return (x @ y / 3 + 1) ** 3 if kernel == "polynomial" else np.exp(-((x - y) ** 2).sum() / 2 / 1.3**2)

    x, y = normal(30, 3).numpy() + 0.2, normal(19, 3, seed=1).numpy()
    own = [np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    expected = sum(own) - 2 * np.mean([k(a, b) for a in x for b in y])
    found = value(Kid(kernel=kernel, bandwidth=1.3), torch.tensor(x), torch.tensor(y))
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_kid_is_not_biased(kernel):
    x = normal(600, 2, 20, 3)
    found = np.array([value(Kid(kernel=kernel, bandwidth=1.0), a, b) for a, b in x])
    assert abs(found.mean()) < 3 * found.std() / math.sqrt(600)
    assert (found < 0).mean() > 0.3


def test_kids_bandwidth_finds_lost_modes_that_the_cubic_kernel_does_not_see():
    real, full, half = RING.train[:1000], RING.test[:1000], RING.train[2000:][PART[2000:] % 2 == 0][:1000]
    gaussian = Kid(kernel="gaussian")
    assert value(gaussian, half, real) > 20 * abs(value(gaussian, full, real))
    assert value(Kid(), half, real) < 0.005 < value(Kid(), RING.train[PART == 0][:1000], real)


def test_kids_bandwidth_holds_a_hundredth_of_the_pairs():
    real = normal(300, 2)
    near = np.quantile(scipy.spatial.distance.pdist(real), 0.01)
    found, told = (value(Kid(kernel="gaussian", bandwidth=b), real + 1, real) for b in (0.0, near))
    assert found == pytest.approx(told, rel=1e-9)


def test_kid_of_subsets_larger_than_the_samples_is_nan():
    assert math.isnan(value(Kid(subsets=3, subset_size=21), normal(20, 2), normal(40, 2)))
    assert math.isfinite(value(Kid(subsets=3, subset_size=20), normal(20, 2), normal(40, 2)))


# -- neighbourhoods


def test_precision_and_recall_by_hand():
    real, samples = points(0, 1, 2, 10), points(-1, 1.5, 3.5, 100)
    found = measured(PrecisionRecall(k=1), samples, real)
    # real balls reach 1, 1, 1 and 8: of -1 and 1.5, to the boundary, and of 3.5 by 10's, from 2 to 18
    assert found["precision"] == 3 / 4
    # samples' balls reach 2.5, 2, 2 and 96.5, the last to 3.5: 0, 1 and 2 are in some, and 10 in the last
    assert found["recall"] == 1
    # without the far one, and so without its ball, 10 is lost
    assert measured(PrecisionRecall(k=1), samples[:3], real)["recall"] == 3 / 4


def test_density_and_coverage_by_hand():
    real, samples = points(0, 1, 2.5, 10), points(0.2, 0.3, 1.0, 2.5, -1.0)
    found = measured(DensityCoverage(k=2), samples, real)
    # second neighbours: 2.5, 1.5, 2.5, 9; balls: (-2.5, 2.5), (-.5, 2.5), (0, 5), (1, 19)
    inside = 4 + 3 + 4 + 1
    assert found["density"] == pytest.approx(inside / (2 * 5))
    assert found["coverage"] == 1
    assert measured(DensityCoverage(k=2), points(-1.0, -2.0, 30.0), real)["coverage"] == 1 / 4


@pytest.mark.parametrize("k", [1, 3, 5])
def test_expected_density_and_coverage_of_equal_distributions(k):
    n, expected = 400, 1.0
    for i in range(1, k + 1):
        expected *= (n - i) / (2 * n - i)
    runs = [
        measured(DensityCoverage(k=k), normal(n, 2, seed=i), normal(n, 2, seed=99 - i)) for i in range(25)
    ]
    assert np.mean([run["coverage"] for run in runs]) == pytest.approx(1 - expected, abs=0.012)
    assert np.mean([run["density"] for run in runs]) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("modes", [1, 4])
def test_recall_and_coverage_see_lost_modes(modes):
    samples = RING.train[2000:][PART[2000:] < modes][:1000]
    coverage = measured(DensityCoverage(), samples, RING.train[:1000])
    recall = measured(PrecisionRecall(), samples, RING.train[:1000])
    assert coverage["coverage"] == pytest.approx(modes / 8, abs=0.04)
    assert recall["recall"] == pytest.approx(modes / 8, abs=0.04)
    assert min(coverage["density"], recall["precision"]) > 0.9


def test_precision_and_density_see_outliers():
    real, samples = RING.train[:1000], RING.test[:1000].clone()
    samples[:100] = 5
    assert measured(PrecisionRecall(), samples, real)["precision"] == pytest.approx(0.9, abs=0.02)
    assert measured(DensityCoverage(), samples, real)["density"] == pytest.approx(0.9, abs=0.05)


def test_sets_far_apart_share_nothing():
    samples, real = normal(50, 3), normal(50, 3, seed=1) + 100
    assert measured(PrecisionRecall(), samples, real) == {"precision": 0, "recall": 0}
    assert measured(DensityCoverage(), samples, real) == {"density": 0, "coverage": 0}


@of([PrecisionRecall(k=7), DensityCoverage(k=7)])
def test_too_few_samples_for_k_neighbours_are_nan(metric):
    few, enough = normal(7, 2), normal(8, 2)
    assert all(math.isnan(v) for v in measured(metric, few, enough).values())
    assert all(math.isnan(v) for v in measured(metric, enough, few).values())
    assert all(math.isfinite(v) for v in measured(metric, enough, enough + 1).values())


@pytest.mark.parametrize("shape", [(600, 2), (257, 30), (5, 1)])
def test_pairs_by_brute_force(shape):
    x = normal(*shape)
    full = scipy.spatial.distance.cdist(x, x)
    assert sum_within(distances, x) == pytest.approx(full.sum(), rel=1e-12)
    assert radii(x, 3).numpy() == pytest.approx(np.sort(full, axis=1)[:, 3], rel=1e-9)


# -- inception score


def scored(probabilities, **options):
    data = Data(torch.zeros(4, 2), torch.zeros(4, 2), classes=probabilities.shape[1])
    samples = torch.zeros(len(probabilities), 2)
    more = {"probabilities": lambda name, x: probabilities[: len(x)]}
    evaluation = Evaluation(samples, data, lambda n: samples, flatten, torch.Generator(), {}, **more)
    return InceptionScore(**options).measure(evaluation)["inception-score"]


def test_inception_score_in_closed_form():
    sure = torch.eye(10, dtype=torch.float64)
    assert scored(sure.repeat(7, 1)) == pytest.approx(10)
    assert scored(sure[:4].repeat(7, 1)) == pytest.approx(4)
    assert scored(sure[[3] * 70]) == pytest.approx(1)
    assert scored(torch.full((70, 10), 0.1, dtype=torch.float64)) == pytest.approx(1)
    noisy = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)  # a channel that errs in a tenth
    capacity = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert scored(noisy) == pytest.approx(math.exp(capacity))


def test_inception_score_averages_over_splits():
    sure = torch.eye(4, dtype=torch.float64)
    halves = torch.cat([sure[:1].repeat(8, 1), sure.repeat(2, 1)])
    assert scored(halves, splits=2) == pytest.approx((1 + 4) / 2)
    assert math.isnan(scored(halves, splits=17))
    assert math.isfinite(scored(halves, splits=16))


def test_inception_score_is_biased_as_documented():
    labels = torch.randint(0, 10, (2000, 100), generator=torch.Generator().manual_seed(0))
    scores = [scored(torch.eye(10, dtype=torch.float64)[row]) for row in labels]
    assert np.mean(scores) == pytest.approx(10 * (1 - 9 / 200), rel=0.003)


def test_inception_score_wants_classes():
    assert InceptionScore().fits(DIGITS) is None
    assert InceptionScore().extractor_for(DIGITS) == "classifier"
    assert "labels" in InceptionScore().fits(RING)
    assert "choose classifier" in InceptionScore(extractor="identity").fits(DIGITS)
    assert "labels" in InceptionScore(extractor="classifier").fits(RING)
    images = torch.zeros(4, 3, 8, 8)
    assert "choose inception" in InceptionScore().fits(Data(images, images))
    assert InceptionScore(extractor="inception").fits(Data(images, images)) is None
    assert InceptionScore(extractor="mine").fits(DIGITS) is None
    with pytest.raises(BadInput, match="choose classifier"):
        InceptionScore().measure(seen(normal(9, 2), normal(9, 2)))
    samples = normal(9, 2)
    samples[3] = math.nan
    assert math.isnan(InceptionScore().measure(seen(samples, samples))["inception-score"])


# -- how varied samples are


def test_vendi_counts_orthogonal_groups():
    eye = torch.eye(6, dtype=torch.float64)
    assert value(Vendi(), eye, eye) == pytest.approx(6)
    assert value(Vendi(), eye[[0, 0, 1, 1]] * points(1, 5, 2, 3), eye) == pytest.approx(2)
    share = np.array([5, 3, 2]) / 10
    groups = eye[[0] * 5 + [1] * 3 + [2] * 2]
    assert value(Vendi(), groups, eye) == pytest.approx(math.exp(scipy.stats.entropy(share)))
    assert measured(Vendi(), groups, eye)["vendi-ratio"] == pytest.approx(
        math.exp(scipy.stats.entropy(share)) / 6
    )


def test_vendi_by_the_eigenvalues_of_the_kernel():
    for n, d in [(40, 7), (7, 40), (12, 12)]:
        x = normal(n, d)
        cosines = 1 - scipy.spatial.distance.cdist(x, x, "cosine")
        share = np.clip(np.linalg.eigvalsh(cosines / n), 1e-300, None)
        assert value(Vendi(), x, x) == pytest.approx(math.exp(scipy.stats.entropy(share)), rel=1e-9)


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e-3, 1e140])
def test_vendi_of_one_direction_is_one(scale):
    same = scale * points([1, 2, 3]).expand(20, 3)
    assert value(Vendi(), same, normal(20, 3)) == pytest.approx(1)


def test_diversity_of_a_gaussian():
    d = 5
    expected = 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))  # E|X - X'|
    found = measured(Diversity(), 3 * normal(4000, d), normal(3000, d, seed=1))
    assert found["diversity"] == pytest.approx(3 * expected, rel=0.02)
    assert found["diversity-ratio"] == pytest.approx(3, rel=0.02)


def test_diversity_by_hand():
    samples = points([0, 0], [3, 4], [0, 0])
    assert measured(Diversity(), samples, points([0, 0], [0, 1]))["diversity"] == pytest.approx(10 / 3)
    assert measured(Diversity(), samples, points([0, 0], [0, 1]))["diversity-ratio"] == pytest.approx(10 / 3)
    assert math.isnan(measured(Diversity(), samples, torch.zeros(5, 2))["diversity-ratio"])


def test_birthday_by_hand():
    real = points(*range(0, 80, 10))  # nearest neighbours are 10 apart, and 7 of 28 pairs are
    found = measured(Birthday(), points(0, 5, 100, 200), real)
    assert found == {"birthday": 6.0, "birthday-ratio": 6 / 4}
    assert value(Birthday(), points(0, 5, 10, 200), real) == 2
    assert value(Birthday(), points(0, 0, 0, 0), real) == 1
    assert value(Birthday(), points(0, 100, 200, 300), real) == 6  # no duplicates: the most


@pytest.mark.parametrize("n", [10, 200])
def test_birthday_finds_the_size_of_a_support(n):
    support = 10 * normal(n, 3, seed=2)
    real = normal(1500, 3)
    drawn = torch.randint(0, n, (1500,), generator=torch.Generator().manual_seed(1))
    assert value(Birthday(share=0.01), support[drawn], real) == pytest.approx(n, rel=0.05)


def test_birthday_sees_shrunk_and_lost_modes():
    real, pool, mode = RING.train[:1500], RING.train[10_000:].double(), PART[10_000:]
    centres = RING.modes.double()[mode]
    shrunk = (centres + (pool - centres) / math.sqrt(8))[:1500]
    for samples, expected in [(pool[:1500], 1), (shrunk, 1 / 8), (pool[mode == 3][:1500], 1 / 8)]:
        found = measured(Birthday(), samples, real)["birthday-ratio"]
        assert found == pytest.approx(expected, rel=0.25)


def test_birthday_finds_duplicates_in_many_dimensions():
    places = 1000 * normal(30, 300)
    real = places.repeat(2, 1)  # so many copies that only copies are duplicates
    assert value(Birthday(), places.repeat(4, 1), real) == pytest.approx(120 * 119 / 2 / (30 * 6))
    assert value(Birthday(), places + 1e-3 * normal(30, 300, seed=1), real) == 30 * 29 / 2
    assert value(Birthday(), places[:1].expand(40, 300), real) == 1


# -- distances


def test_sliced_wasserstein_of_a_shift():
    x, shift = normal(300, 3), points([1, -2, 0.5])
    metric = SlicedWasserstein(projections=50)
    axes = metric.directions(3, torch.Generator().manual_seed(5))
    assert axes.norm(dim=0).numpy() == pytest.approx(1)
    expected = float((shift @ axes).square().mean().sqrt())
    assert value(metric, x + shift, x, seed=5) == pytest.approx(expected, rel=1e-9)
    wide = SlicedWasserstein(projections=20_000)
    assert value(wide, points([1, 2, 2]), points([0, 0, 0])) == pytest.approx(math.sqrt(9 / 3), rel=0.02)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_sliced_wasserstein_on_a_line_is_the_distance_of_order_statistics(p):
    x, y = normal(200, 1), 2 * normal(200, 1, seed=1) + 1
    gaps = np.abs(np.sort(x.numpy(), 0) - np.sort(y.numpy(), 0))
    expected = (gaps**p).mean() ** (1 / p)
    assert value(SlicedWasserstein(p=p), x, y) == pytest.approx(expected, rel=1e-9)


def test_sliced_wasserstein_of_sides_of_unequal_size():
    x, y = normal(30, 4), normal(12, 4, seed=1)
    found = value(SlicedWasserstein(), x, y)
    assert found == pytest.approx(value(SlicedWasserstein(), x.repeat(2, 1), y.repeat(5, 1)), rel=1e-9)
    assert found == pytest.approx(value(SlicedWasserstein(), y, x), rel=1e-12)


def test_sliced_wasserstein_of_two_gaussians():
    found = value(SlicedWasserstein(), 2 * normal(50_000, 1) + 3, normal(50_000, 1, seed=1))
    assert found == pytest.approx(math.sqrt(3**2 + 1), rel=0.02)


def test_directions_are_drawn_anew_from_the_evaluations_stream():
    before, x, y = torch.get_rng_state(), normal(50, 5), normal(50, 5, seed=1) + 1
    evaluation = seen(x, y)
    first, second = (SlicedWasserstein().measure(evaluation) for _ in range(2))
    assert first != second
    assert first == measured(SlicedWasserstein(), x, y)
    assert torch.equal(torch.get_rng_state(), before)


def test_energy_distance_computes_the_real_side_once(monkeypatch):
    calls, (x, y) = [], (normal(40, 2), normal(40, 2, seed=1))
    counted = lambda a, b: calls.append(1) or distances(a, b)  # noqa: E731
    monkeypatch.setattr("ganbench_builtin.metrics.energy.distances", counted)
    first, second = (measured(EnergyDistance(), x, y) for _ in range(2))
    assert first == second
    assert len(calls) == 3 + 2


# -- bins


def cells(*counts):
    return torch.repeat_interleave(points(*range(0, 100 * len(counts), 100)), torch.tensor(counts), dim=0)


def test_ndb_and_jsd_by_other_tests():
    real, samples = cells(50, 60, 40, 50), cells(80, 55, 15, 70)
    found = measured(Ndb(bins=4), samples, real)
    tables = [[[a, 220 - a], [b, 200 - b]] for a, b in zip((80, 55, 15, 70), (50, 60, 40, 50), strict=True)]
    values = [scipy.stats.chi2_contingency(table, correction=False).pvalue for table in tables]  # z^2
    assert sorted(p < 0.05 for p in values) == [False, False, True, True]
    assert found["ndb"] == np.mean([p < 0.05 for p in values])
    strict = measured(Ndb(bins=4, significance=min(values) * 1.01), samples, real)
    assert strict["ndb"] == 1 / 4
    root = scipy.spatial.distance.jensenshannon([80, 55, 15, 70], [50, 60, 40, 50])
    assert found["jsd"] == pytest.approx(root**2, rel=1e-9)


def test_ndb_of_disjoint_sets_and_of_equal_ones():
    real = cells(20, 20, 20)
    assert measured(Ndb(bins=3), cells(60), real)["ndb"] == 1
    assert measured(Ndb(bins=2), cells(60) + 1e4, cells(30) - 1e4) == {"ndb": 0, "jsd": 0}  # no bins but one
    assert measured(Ndb(bins=3), real, real) == {"ndb": 0, "jsd": 0}
    halves = measured(Ndb(bins=2), cells(0, 60), cells(59, 1))
    assert halves["ndb"] == 1
    assert halves["jsd"] == pytest.approx(scipy.spatial.distance.jensenshannon([0, 1], [59, 1]) ** 2)


def test_bins_without_a_real_sample_are_left_out():
    assert measured(Ndb(bins=10), cells(60, 0), cells(20, 20))["ndb"] == 1


def test_ndb_of_equal_distributions_is_about_its_level():
    x = normal(3000, 2)
    runs = [measured(Ndb(bins=50), normal(3000, 2, seed=i), x) for i in range(1, 13)]
    assert np.mean([run["ndb"] for run in runs]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([run["jsd"] for run in runs]) == pytest.approx(49 / 12_000, rel=0.2)


def test_bins_are_always_the_same():
    real, samples = normal(400, 3), normal(400, 3, seed=1)
    before = torch.get_rng_state(), torch.get_num_threads()
    first = measured(Ndb(bins=40), samples, real)
    assert measured(Ndb(bins=40), samples, real.clone()) == first
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_fewer_samples_than_bins_are_nan():
    assert all(math.isnan(v) for v in measured(Ndb(bins=30), normal(29, 2), normal(40, 2)).values())
    assert all(math.isfinite(v) for v in measured(Ndb(bins=30), normal(30, 2), normal(40, 2)).values())


# -- what all share


@of(ON_POINTS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_sample_that_is_not_finite_makes_all_nan(metric, bad):
    samples = normal(100, 3)
    samples[17, 1] = bad
    assert all(math.isnan(v) for v in measured(metric, samples, normal(100, 3, seed=1)).values())


@of(OF_FEATURES)
@pytest.mark.parametrize("side", [0, 1])
def test_features_that_are_not_finite_make_all_nan(metric, side):
    sides = normal(100, 3), normal(100, 3, seed=1)

    def broken(extractor, samples):
        return samples / 0 if samples is sides[side] else samples

    assert all(math.isnan(v) for v in measured(metric, *sides, features=broken).values())


@of(ON_POINTS)
@pytest.mark.parametrize("size", [1e60, 1e160, 1e300])
def test_samples_out_of_all_bounds_never_look_good(metric, size):
    found = measured(metric, size * normal(100, 3), normal(100, 3, seed=1))
    good = measured(metric, normal(100, 3, seed=2), normal(100, 3, seed=1))
    for name, direction in metric.values.items():
        if name in ("vendi", "vendi-ratio", "diversity", "diversity-ratio", "birthday", "birthday-ratio"):
            assert math.isnan(found[name]) or size < 1e150  # varied they are
        elif direction == "lower":
            assert not found[name] <= 2 * abs(good[name])
        elif name == "recall":
            assert math.isnan(found[name]) or size < 1e150  # one ball holds everything
        else:
            assert not found[name] >= good[name] / 2


@of(OF_FEATURES)
def test_one_sample_is_nan(metric):
    assert all(math.isnan(v) for v in measured(metric, normal(1, 3), normal(1, 3)).values())


@of([Kid(), Kid(kernel="gaussian"), Vendi(), Diversity(), Birthday(), Ndb(bins=2), PrecisionRecall(k=1)])
def test_two_samples_are_finite(metric):
    found = measured(metric, normal(2, 3), normal(2, 3, seed=1))
    assert all(math.isfinite(v) for v in found.values())


@of(ON_POINTS)
@pytest.mark.parametrize("where", ["at a real one", "far off", "at zero"])
def test_a_point_mass_is_finite_and_bad(metric, where):
    real = normal(200, 3)
    place = {"at a real one": real[7], "far off": torch.full((3,), 50.0), "at zero": torch.zeros(3)}[where]
    found = measured(metric, place.double().expand(200, 3), real)
    good = measured(metric, normal(200, 3, seed=1), real)
    assert all(math.isfinite(v) for v in found.values())
    for name, direction in metric.values.items():
        if name in ("precision", "density"):  # they ask nothing else of samples than to be near real ones
            assert found[name] == 0 or where != "far off"
        elif direction == "lower":
            assert found[name] > 2 * good[name]
        else:
            assert found[name] < good[name] / 2


@of(ON_POINTS)
def test_data_that_are_one_point_are_finite_unless_a_ratio(metric):
    for samples in (torch.ones(60, 2), normal(60, 2)):
        found = measured(metric, samples, torch.ones(60, 2))
        assert all(math.isfinite(v) or name == "diversity-ratio" for name, v in found.items())


@of(ON_POINTS)
@pytest.mark.parametrize("d", [2, 30])
def test_the_real_samples_themselves_are_perfect(metric, d):
    real = normal(120, d)
    found = measured(metric, real.clone(), real)
    perfect = dict.fromkeys(["precision", "recall", "density", "coverage"], 1)
    perfect |= dict.fromkeys(["vendi-ratio", "diversity-ratio", "birthday-ratio"], 1)
    perfect |= dict.fromkeys(["fid", "ndb", "jsd", "energy-distance", "sliced-wasserstein"], 0)
    for name in found.keys() & perfect.keys():
        assert found[name] == pytest.approx(perfect[name], abs=1e-7)
    if isinstance(metric, Kid) and not metric.subsets:
        assert found["kid"] < 0  # the unbiased estimate of 0 counts the copies


@of([metric for metric in ON_POINTS if not getattr(metric, "subsets", 0)])  # drawn by number
def test_the_order_of_samples_does_not_matter(metric):
    x, real = normal(150, 3) + 0.3, normal(150, 3, seed=1)
    shuffled = x[torch.randperm(150, generator=torch.Generator().manual_seed(0))]
    assert measured(metric, shuffled, real) == pytest.approx(measured(metric, x, real), rel=1e-9)


@of([m for m in ON_POINTS if not isinstance(m, (Kid, Vendi, SlicedWasserstein))] + [Kid(kernel="gaussian")])
def test_motions_of_space_do_not_matter(metric):
    x, real = normal(150, 20) + 0.3, normal(150, 20, seed=1)
    turn = torch.linalg.qr(normal(20, 20, seed=2)).Q
    moved = measured(metric, x @ turn + 5, real @ turn + 5)
    assert moved == pytest.approx(measured(metric, x, real), rel=1e-6, abs=1e-9)


# -- what is computed once


@of([*OF_FEATURES, EnergyDistance()])
def test_real_statistics_do_not_depend_on_what_came_before(metric):
    real, x, y = normal(90, 3), normal(90, 3, seed=1), normal(90, 3, seed=2) + 1
    fresh = [measured(metric, sample, real.clone()) for sample in (x, y)]
    assert [measured(metric, sample, real) for sample in (x, y)] == fresh


def test_what_is_remembered_is_made_once_and_goes_with_its_tensor():
    made, tensor, equal = [], torch.ones(3), torch.ones(3)

    def make():
        made.append(1)
        return torch.ones(2)

    first = remembered(tensor, "a", make)
    assert remembered(tensor, "a", make) is first
    assert remembered(tensor, "b", make) is not first
    assert remembered(equal, "a", make) is not first  # another tensor, though equal
    assert len(made) == 3
    gone = weakref.ref(first)
    del first, tensor
    gc.collect()
    assert gone() is None


# -- which extractor


@pytest.mark.parametrize("cls", [cls for cls in ALL if issubclass(cls, FeatureMetric)])
def test_metrics_of_features_choose_their_extractor_alike(cls):
    images = torch.zeros(4, 3, 8, 8)
    stacks = Data(images, images, torch.zeros(4), torch.zeros(4), classes=1000)
    assert cls().extractor_for(DIGITS) == "classifier"
    assert cls().extractor_for(stacks) == "stacked-classifier"
    assert cls().fits(stacks) is None
    assert cls().extractor_for(RING) == "identity"
    assert cls().fits(DIGITS) is None
    assert cls().fits(RING) is None
    assert cls(extractor="inception").fits(Data(images, images)) is None
    assert f"{cls.name} on unlabelled images needs the option extractor" in cls().fits(Data(images, images))
    assert "labelled" in cls(extractor="classifier").fits(RING)
    asked = []

    def features(extractor, samples):
        asked.append(extractor)
        return samples

    cls(extractor="mine").measure(seen(normal(120, 2), normal(120, 2, seed=1), features))
    assert asked == ["mine", "mine"]


def test_metrics_that_need_two_dimensions_say_so():
    line = Data(torch.zeros(9, 1), torch.zeros(9, 1))
    assert "two dimensions" in Vendi().fits(line)
    assert "two dimensions" in Fid().fits(line)
    assert Kid().fits(line) is None


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Kid, {"kernel": "linear"}),
        (Kid, {"bandwidth": -1.0}),
        (Kid, {"subset_size": 1}),
        (PrecisionRecall, {"k": 0}),
        (DensityCoverage, {"k": 0}),
        (InceptionScore, {"splits": 0}),
        (SlicedWasserstein, {"p": 0.5}),
        (SlicedWasserstein, {"projections": 0}),
        (Ndb, {"bins": 0}),
        (Ndb, {"significance": 1.0}),
        (Birthday, {"share": 0.0}),
    ],
)
def test_options_out_of_range_are_refused(cls, options):
    with pytest.raises(BadInput, match=next(iter(options))):
        create(cls, options)
    assert create(cls, options_of(cls())) == cls()


# -- in a run


NAMES = ["fid", "kid", "precision-recall", "density-coverage", "inception-score", "vendi", "diversity", "ndb"]
NAMES += ["sliced-wasserstein", "birthday", "energy-distance"]


@pytest.fixture
def taken(builtins, tmp_path, monkeypatch):
    """Metrics by name of one run on a few digits, by the core's evaluator: rows, and that evaluator."""
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path))
    data = Data(DIGITS.train[:200], DIGITS.test, DIGITS.train_labels[:200], DIGITS.test_labels, classes=10)
    config = variant("mlp-gan", "non-saturating", batch=8)
    program, runs = Program(config, builtins, data), Runs((3,), ({},))
    state = Looped(program, runs, data, torch.device("cpu")).state()

    def take(names):
        options = {"ndb": {"bins": 10}}
        metrics = [{"name": name, "options": options.get(name, {})} for name in names]
        evaluator = Evaluator({**config, "samples": 120, "metrics": metrics}, builtins, program, runs, data)
        return lambda: evaluator.measure(state, 0, [0]), evaluator

    return take


@pytest.fixture
def rows(taken):
    """All metrics; the second time, too."""
    measure, _ = taken(NAMES)
    return [measure() for _ in range(2)]


def test_values_depend_on_no_other_metric(taken, rows):
    alone = [row for name in NAMES for row in taken([name])[0]()]
    assert alone == rows[0]
    backwards = taken(NAMES[::-1])[0]()
    assert sorted(backwards, key=str) == sorted(rows[0], key=str)


def test_features_are_extracted_once_for_all_metrics(taken, monkeypatch):
    measure, evaluator = taken(["fid", "kid", "vendi", "diversity"])
    asked, extract = [], evaluator.features.of
    monkeypatch.setattr(evaluator.features, "of", lambda *given: asked.append(given[0]) or extract(*given))
    rows = [measure(), measure()]
    assert rows[0] == rows[1]
    assert asked == ["classifier"] * 3  # of the samples at each evaluation, of the real ones once
    assert {row["dimensions"] for row in rows[0]} == {64}


def test_too_few_samples_are_refused_before_training(tmp_path):
    suite = (
        'schema = 1\nname = "few"\n[defaults]\ndataset = "ring"\nmodel = "mlp-gan"\nloss = "hinge"\n'
        'steps = 9\nevaluate = { samples = 40, metrics = ["kid", "ndb"] }\n'
        "[options.kid]\nsubsets = 3\nsubset_size = 50\n"
    )
    (tmp_path / "few.toml").write_text(suite)
    done = ganbench_here("plan", tmp_path / "few.toml", "--out", tmp_path / "results")
    assert done.code == 2
    assert "kid takes 50 samples at least; evaluate.samples is 40" in done.err
    assert "ndb takes 100 samples at least; evaluate.samples is 40" in done.err


def test_in_a_run_they_are_what_they_are_of_an_untrained_generator(rows):
    found = {row["metric"]: row["value"] for row in rows[0]}
    assert all(math.isfinite(v) for v in found.values())
    assert found["recall"] < 0.2
    assert found["coverage"] < 0.2
    assert found["diversity-ratio"] < 0.5
    assert found["birthday-ratio"] < 0.1
    assert 1 <= found["inception-score"] <= 10
    assert {row["extractor"] for row in rows[0]} == {"classifier", ""}
    assert rows[0] == rows[1]
