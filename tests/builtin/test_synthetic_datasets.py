"""Shapes in the plane, unequal Gaussians, and what is made of the embedded digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage
import scipy.spatial
import scipy.stats
import sklearn.datasets
import torch
from torch import Tensor

from ganbench.components.base import create, options_of
from ganbench.components.data import Data, Dataset
from ganbench.components.kinds import Evaluation
from ganbench.errors import BadInput
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.digits_maps import DigitsMaps
from ganbench_builtin.datasets.digits_translation import DigitsTranslation
from ganbench_builtin.datasets.gaussians import Gaussians
from ganbench_builtin.datasets.spiral import Spiral
from ganbench_builtin.datasets.swiss_roll import SwissRoll
from ganbench_builtin.datasets.two_moons import TwoMoons
from ganbench_builtin.metrics.modes import Modes

SHAPES: list[Any] = [SwissRoll, TwoMoons, Spiral]
PLANE: list[Any] = [*SHAPES, Gaussians]
OF_DIGITS: list[Any] = [Digits, DigitsMaps, DigitsTranslation]
SIZES = (8, 16, 28, 32)


def train_of(dataset: Dataset) -> np.ndarray:
    return dataset.load(None).train.double().numpy()


def polar(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radius, and angle in turns."""
    return np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0]) / (2 * math.pi)


@pytest.mark.parametrize("turns", [0.5, 1.5, 4.0])
def test_swiss_roll_is_on_its_curve(turns: float) -> None:
    points = train_of(SwissRoll(noise=0.0, turns=turns, size=5000))
    radius, angle = polar(points)
    scale = 1.5 * math.pi + 2 * math.pi * turns  # the angle at the outer end, whose radius is .6 pi
    along = radius / (0.6 * math.pi) * scale
    gap = along / (2 * math.pi) - angle
    np.testing.assert_allclose(gap, gap.round(), atol=1e-5)
    uniform = (along - 1.5 * math.pi) / (2 * math.pi * turns)
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 0.01


def test_swiss_roll_and_moons_are_scikit_learns() -> None:
    roll = sklearn.datasets.make_swiss_roll(20_000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    moons = sklearn.datasets.make_moons(20_000, noise=0.05, random_state=0)[0] - [0.5, 0.25]
    for ours, theirs in ((SwissRoll(size=20_000), roll), (TwoMoons(size=20_000), moons)):
        points = train_of(ours)
        for direction in ([1, 0], [0, 1], [1, 1], [1, -2]):  # equal on every line: equal in the plane
            test = scipy.stats.ks_2samp(points @ direction, theirs @ direction)
            assert test.pvalue > 0.01, (ours, direction)


def test_moons_are_two_half_circles() -> None:
    points = train_of(TwoMoons(noise=0.0, size=5000))
    on = [
        np.isclose(np.hypot(sign * points[:, 0] + 0.5, sign * points[:, 1] + 0.25), 1)
        & (sign * points[:, 1] >= -0.25 - 1e-6)
        for sign in (1, -1)
    ]
    assert (on[0] ^ on[1]).all()
    assert scipy.stats.binomtest(int(on[0].sum()), len(points)).pvalue > 0.01


@pytest.mark.parametrize(("arms", "turns"), [(1, 3.0), (2, 3.0), (5, 0.4)])
def test_spiral_is_on_its_curve(arms: int, turns: float) -> None:
    radius, angle = polar(train_of(Spiral(arms=arms, turns=turns, noise=0.0, size=5000)))
    arm = (angle - turns * radius) * arms
    clear = radius > 0.01  # nearer to the origin float32 blurs the angle
    np.testing.assert_allclose(arm[clear], arm[clear].round(), atol=1e-4)
    counts = np.bincount(arm.round().astype(int) % arms, minlength=arms)
    assert arms == 1 or scipy.stats.chisquare(counts).pvalue > 0.01
    assert scipy.stats.kstest(radius**2, "uniform").pvalue > 0.01


def test_the_spiral_spreads_about_evenly() -> None:
    """Between radius .3 and 1, equal lengths of the curve hold equal numbers of points, to a few percent."""
    radius, _ = polar(train_of(Spiral(noise=0.0)))
    edges = np.linspace(0.3, 1.0, 8)
    slope = 2 * math.pi * 3  # angle a unit of radius, so that ds = sqrt(1 + (slope r)^2) dr
    fine = np.linspace(0.0, 1.0, 100_001)
    length = np.interp(
        edges, fine, scipy.integrate.cumulative_trapezoid(np.hypot(1, slope * fine), fine, initial=0)
    )
    per_length = np.histogram(radius, edges)[0] / np.diff(length)
    assert per_length.max() / per_length.min() < 1.06


@pytest.mark.parametrize("dataset", [SwissRoll(noise=0.02), TwoMoons(noise=0.02), Spiral(noise=0.02)])
def test_the_noise_is_as_wide_as_it_says(dataset: Any) -> None:
    curve = train_of(type(dataset)(noise=0.0, size=100_000))
    points = train_of(dataset)[:20_000]
    distance = scipy.spatial.cKDTree(curve).query(points)[0]
    # along a curve the noise does not show: what is left is |N(0, noise^2)|, but for the ends and the centre
    assert np.sqrt(np.mean(distance**2)) == pytest.approx(0.02, rel=0.05)
    assert np.median(distance) == pytest.approx(0.02 * scipy.stats.norm.ppf(0.75), rel=0.05)


@pytest.mark.parametrize("cls", PLANE)
def test_points_are_always_the_same_and_parts_differ(cls: Any) -> None:
    small, large = cls(size=100).load(None), cls(size=20_000).load(None)
    assert torch.equal(small.train, cls(size=100).load(None).train)
    assert torch.equal(small.test, large.test)
    assert not torch.equal(large.train[:10_000], large.test)
    assert large.train.dtype == torch.float32
    assert large.train.shape == (20_000, 2)
    assert large.test.shape == (10_000, 2)
    assert large.train.isfinite().all()


@pytest.mark.parametrize("cls", SHAPES)
def test_shapes_have_about_unit_size_and_no_modes(cls: Any) -> None:
    data = cls().load(None)
    assert ((data.train.std(dim=0) > 0.3) & (data.train.std(dim=0) < 1.1)).all()
    assert data.train.abs().max() < 2.1
    assert data.modes is None


def weights_by_hand(count: int, imbalance: float) -> np.ndarray:
    ratio = imbalance ** (-1 / (count - 1))
    share = ratio ** np.arange(count)
    return share / share.sum()


def nearest(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """How many training points are nearest to each centre, and how far they are from it."""
    assert data.modes is not None
    distance, mode = scipy.spatial.cKDTree(data.modes.numpy()).query(data.train.numpy())
    return np.bincount(mode, minlength=len(data.modes)), distance


@pytest.mark.parametrize(("count", "imbalance"), [(100, 10.0), (7, 50.0), (30, 1.0)])
def test_gaussians_have_the_weights_they_say(count: int, imbalance: float) -> None:
    dataset = Gaussians(count=count, imbalance=imbalance)
    np.testing.assert_allclose(
        np.sort(dataset.weights().numpy())[::-1], weights_by_hand(count, imbalance), rtol=1e-12
    )
    counts, distance = nearest(dataset.load(None))
    assert scipy.stats.chisquare(counts, dataset.weights().numpy() * counts.sum()).pvalue > 0.01
    if imbalance > 1:
        assert scipy.stats.chisquare(counts).pvalue < 1e-9
    assert math.sqrt(np.mean(distance**2) / 2) == pytest.approx(0.025, rel=0.01)


def test_gaussians_stand_on_a_grid() -> None:
    modes = Gaussians().load(None).modes
    assert modes is not None
    assert {tuple(centre) for centre in modes.tolist()} == {
        (x - 4.5, y - 4.5) for x in range(10) for y in range(10)
    }
    few = Gaussians(count=7, spacing=2.0).load(None).modes
    assert few is not None
    assert torch.pdist(few).min() == 2
    torch.testing.assert_close(few.amax(dim=0), -few.amin(dim=0))
    assert Gaussians(count=1, size=1).load(None).modes.tolist() == [[0.0, 0.0]]  # type: ignore[union-attr]


def test_heavy_gaussians_are_everywhere_on_the_grid() -> None:
    dataset = Gaussians()
    modes, weights = dataset.load(None).modes, dataset.weights()
    assert modes is not None
    for axis in (0, 1):
        assert abs(scipy.stats.spearmanr(modes[:, axis], weights).statistic) < 0.25


def test_the_modes_of_gaussians_are_counted_as_the_docstring_says() -> None:
    data = Gaussians().load(None)

    def measured(n: int) -> dict[str, float]:
        samples = data.train[:n]
        return Modes().measure(
            Evaluation(samples, data, lambda n: data.train[:n], lambda _, s: s, torch.Generator(), {})
        )

    assert Modes().fits(data) is None
    many, usual = measured(100_000), measured(2_500)
    expected = scipy.stats.entropy(weights_by_hand(100, 10.0), np.full(100, 0.01))
    assert expected == pytest.approx(0.199, abs=5e-4)
    assert many["reverse-kl"] == pytest.approx(expected, abs=0.01)
    assert many["modes"] == many["modes-strict"] == 100
    assert usual["modes"] >= 98
    assert weights_by_hand(100, 10.0).min() * 100 == pytest.approx(0.25, abs=0.005)


def test_default_digits_are_bit_for_bit_what_they_were() -> None:
    """Recomputed from scikit-learn, one image at a time."""
    found = sklearn.datasets.load_digits()
    seen = dict.fromkeys(range(10), 0)
    parts: dict[bool, list[tuple[np.ndarray, int]]] = {True: [], False: []}
    for image, label in zip(found.images, found.target, strict=True):
        seen[int(label)] += 1
        held_out = seen[int(label)] % 5 == 0
        parts[held_out].append((np.rint(image * 255 / 16).astype(np.uint8), int(label)))
    data = Digits().load(None)
    for held_out, images, labels in (
        (False, data.train, data.train_labels),
        (True, data.test, data.test_labels),
    ):
        assert images.dtype == torch.uint8
        np.testing.assert_array_equal(images[:, 0].numpy(), np.stack([image for image, _ in parts[held_out]]))
        assert labels is not None
        assert labels.dtype == torch.int64
        assert labels.tolist() == [label for _, label in parts[held_out]]
    assert options_of(Digits()) == {"size": 8}


@pytest.mark.parametrize("size", SIZES)
def test_larger_digits_are_bilinear(size: int) -> None:
    """Against numpy's interpolation, rows first, then columns; pixel centres are at halves."""
    images = sklearn.datasets.load_digits().images * (255 / 16)
    at = (np.arange(size) + 0.5) * 8 / size - 0.5
    rows = np.apply_along_axis(lambda line: np.interp(at, np.arange(8), line), 1, images)
    exact = np.apply_along_axis(lambda line: np.interp(at, np.arange(8), line), 2, rows)
    data = Digits(size=size).load(None)  # type: ignore[arg-type]
    assert data.spec.shape == (1, size, size)
    assert (len(data.train), len(data.test)) == (1442, 355)
    ours, first = data.train[:30, 0].double().numpy(), exact[:30]  # before any class's fifth image
    assert np.abs(ours - first).max() < 0.5 + 1e-5
    halves = np.isclose(first % 1, 0.5, atol=1e-9)
    assert (ours[halves] == np.ceil(first[halves] - 0.25)).all()


def as_set(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.mark.parametrize("size", SIZES)
def test_domains_share_no_digit(size: Any) -> None:
    digits, data = Digits(size=size).load(None), DigitsTranslation(size=size).load(None)
    assert data.source is not None
    assert data.test_source is not None
    parts = [255 - data.train, data.source, 255 - data.test, data.test_source]
    sets = [as_set(part) for part in parts]
    for first in range(4):
        for second in range(first):
            assert not sets[first] & sets[second]
    assert sets[0] | sets[1] == as_set(digits.train)
    assert sets[2] | sets[3] == as_set(digits.test)
    assert sum(map(len, parts)) == 1797


def test_domains_have_all_classes_alike_and_their_own_labels() -> None:
    digits, data = Digits(size=28).load(None), DigitsTranslation().load(None)
    label = {
        image.numpy().tobytes(): int(of)
        for images, labels in ((digits.train, digits.train_labels), (digits.test, digits.test_labels))
        for image, of in zip(images, labels, strict=True)  # type: ignore[arg-type]
    }
    for images, labels in (
        (255 - data.train, data.train_labels),
        (255 - data.test, data.test_labels),
        (data.source, data.source_labels),
        (data.test_source, data.test_source_labels),
    ):
        assert images is not None
        assert labels is not None
        assert [label[image.numpy().tobytes()] for image in images] == labels.tolist()
    assert data.train_labels is not None
    assert data.source_labels is not None
    gap = torch.bincount(data.source_labels) - torch.bincount(data.train_labels)
    assert ((gap == 0) | (gap == 1)).all()
    assert data.spec.source == data.spec.shape == (1, 28, 28)
    assert data.spec.classes == 10


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", ["thickened", "rotated"])
def test_changes_against_other_libraries(change: Any, size: Any) -> None:
    plain = 255 - DigitsTranslation(size=size).load(None).train[:, 0].numpy()
    changed = DigitsTranslation(change=change, size=size).load(None)
    ours = changed.train[:, 0].numpy()
    if change == "rotated":
        expected = np.stack([np.rot90(image) for image in plain])
    else:
        side = {8: 2, 16: 3, 28: 4, 32: 5}[size]
        origin = (0, -1 + side % 2, -1 + side % 2)  # an even square reaches further right and down
        expected = scipy.ndimage.maximum_filter(plain, (1, side, side), mode="constant", origin=origin)
    np.testing.assert_array_equal(ours, expected)
    assert torch.equal(changed.source, DigitsTranslation(size=size).load(None).source)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("threshold", [0, 127, 200])
def test_maps_follow_the_strokes(size: Any, threshold: int) -> None:
    digits, data = Digits(size=size).load(None), DigitsMaps(size=size, threshold=threshold).load(None)
    assert torch.equal(data.train, digits.train)
    assert torch.equal(data.test, digits.test)
    assert data.spec.map_classes == 11
    for images, labels, maps in (
        (data.train, data.train_labels, data.maps),
        (data.test, data.test_labels, data.test_maps),
    ):
        assert maps is not None
        assert labels is not None
        assert maps.dtype == torch.uint8
        expected = np.where(images[:, 0].numpy() > threshold, 1 + labels.numpy()[:, None, None], 0)
        np.testing.assert_array_equal(maps.numpy(), expected)
        share = (maps > 0).double().mean(dim=(1, 2))
        assert share.min() > (0.05 if threshold == 127 else 0)
        assert share.max() < (0.6 if threshold == 127 else 1)


@pytest.mark.parametrize("cls", [*PLANE, *OF_DIGITS])
def test_options_round_trip(cls: Any) -> None:
    assert create(cls, options_of(cls())) == cls()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SwissRoll, {"turns": 0.0}),
        (SwissRoll, {"noise": -0.1}),
        (SwissRoll, {"size": 0}),
        (TwoMoons, {"noise": -1.0}),
        (TwoMoons, {"size": 10**9}),
        (Spiral, {"arms": 0}),
        (Spiral, {"turns": -1.0}),
        (Gaussians, {"count": 0}),
        (Gaussians, {"imbalance": 0.5}),
        (Gaussians, {"sigma": 0.0}),
        (Digits, {"size": 64}),
        (DigitsTranslation, {"change": "mirrored"}),
        (DigitsTranslation, {"size": 9}),
        (DigitsMaps, {"threshold": 255}),
        (DigitsMaps, {"size": 9}),
    ],
)
def test_bad_options_are_named(cls: Any, options: dict[str, object]) -> None:
    with pytest.raises(BadInput) as caught:
        create(cls, options, "options")
    assert [problem.where for problem in caught.value.problems] == [f"options.{next(iter(options))}"]
