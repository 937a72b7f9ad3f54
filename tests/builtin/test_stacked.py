"""Stacked digits: how they are stacked, the classifier that reads them, and the count of their modes."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor
from torchvision.datasets import MNIST

from ganbench.components.base import create, options_of
from ganbench.components.data import Data
from ganbench.components.kinds import Evaluation
from ganbench.errors import BadInput
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.mnist import Mnist
from ganbench_builtin.datasets.stacked_digits import StackedDigits
from ganbench_builtin.datasets.stacked_mnist import StackedMnist
from ganbench_builtin.extractors import classifier
from ganbench_builtin.extractors.stacked_classifier import StackedClassifier, _digits
from ganbench_builtin.metrics.inception_score import InceptionScore
from ganbench_builtin.metrics.label_agreement import LabelAgreement
from ganbench_builtin.metrics.stacked_modes import StackedModes

STACKS = StackedDigits(count=1500).load(None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MNIST's four files, with 7 and 3 images of noise."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 7), ("t10k", 3)):
        for name, array in (
            ("images-idx3", rng.integers(0, 256, (n, 28, 28))),
            ("labels-idx1", rng.permutation(10)[:n]),
        ):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
    return tmp_path


def rows_of(stacks: Tensor, digits: Tensor) -> np.ndarray:
    """n x 3: which row of `digits` each channel is, by its bytes."""
    row = {image.numpy().tobytes(): index for index, image in enumerate(digits[:, 0])}
    assert len(row) == len(digits)  # no two alike
    return np.array([[row[channel.numpy().tobytes()] for channel in stack] for stack in stacks])


def check_stacks(data: Data, digits: Data, count: int) -> None:
    """Each channel is a digit of its part, drawn independently and evenly, and the label says which."""
    assert (len(data.train), len(data.test)) == (count, 10_000)
    assert data.classes == 1000
    assert data.spec.shape == (3, *digits.spec.shape[1:])
    for stacks, labels, images, of in (
        (data.train, data.train_labels, digits.train, digits.train_labels),
        (data.test, data.test_labels, digits.test, digits.test_labels),
    ):
        assert stacks.dtype == torch.uint8
        assert stacks.is_contiguous()
        assert labels is not None
        assert labels.dtype == torch.int64
        rows = rows_of(stacks, images)
        spoken = ["".join(map(str, three)) for three in np.asarray(of)[rows]]
        assert labels.tolist() == [int(three) for three in spoken]
        for channel in range(3):
            counts = np.bincount(rows[:, channel], minlength=len(images))
            assert scipy.stats.chisquare(counts).pvalue > 0.001
        for one, other in ((0, 1), (0, 2), (1, 2)):
            pairs = np.histogram2d(np.asarray(of)[rows[:, one]], np.asarray(of)[rows[:, other]], 10)[0]
            pairs = pairs[pairs.any(axis=1)][:, pairs.any(axis=0)]
            assert scipy.stats.chi2_contingency(pairs).pvalue > 0.001


def test_stacked_mnist_is_stacked(root: Path) -> None:
    check_stacks(StackedMnist(count=2000).load(root), Mnist().load(root), 2000)


def test_stacked_mnist_of_32_pixels_has_a_black_margin(root: Path) -> None:
    small, large = (StackedMnist(count=50, size=size).load(root).train for size in (28, 32))  # type: ignore[arg-type]
    assert large.shape == (50, 3, 32, 32)
    assert torch.equal(large[:, :, 2:-2, 2:-2], small)
    assert large.sum() == small.sum()


@pytest.mark.parametrize("size", [8, 28])
def test_stacked_digits_are_stacked(size: Any) -> None:
    check_stacks(StackedDigits(count=8000, size=size).load(None), Digits(size=size).load(None), 8000)


def test_stacks_are_always_the_same() -> None:
    again, larger = StackedDigits(count=1500).load(None), StackedDigits(count=1600).load(None)
    assert torch.equal(again.train, STACKS.train)
    assert torch.equal(again.test, larger.test)
    assert not torch.equal(again.train, larger.test[:1500])


def test_the_usual_numbers_of_stacks(root: Path) -> None:
    assert options_of(StackedMnist()) == {"count": 128_000, "size": 28, "root": ""}
    assert StackedMnist.places == ("root",)
    assert len(StackedDigits().load(None).train) == 20_000
    assert torch.unique(StackedDigits().load(None).train_labels).tolist() == list(range(1000))  # type: ignore[no-untyped-call]


def test_where_mnist_lies(root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> None:
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setattr(MNIST, "mirrors", [empty.as_uri() + "/"])
    assert len(StackedMnist(root=str(root), count=3).load(empty).train) == 3
    with pytest.raises(BadInput, match="GANBENCH_DATA"):
        StackedMnist(count=3).load(empty)


@pytest.mark.parametrize("cls", [StackedMnist, StackedDigits, StackedModes, StackedClassifier])
def test_options_round_trip(cls: Any) -> None:
    assert create(cls, options_of(cls())) == cls()


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 10**7}, {"size": 12}])
@pytest.mark.parametrize("cls", [StackedMnist, StackedDigits])
def test_bad_options_are_named(cls: Any, options: dict[str, object]) -> None:
    with pytest.raises(BadInput) as caught:
        create(cls, options, "options")
    assert [problem.where for problem in caught.value.problems] == [f"options.{next(iter(options))}"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(cache: Path) -> Any:
    return StackedClassifier().prepare(STACKS, cache)


def test_the_classifier_reads_stacks(trained: Any, cache: Path) -> None:
    (note,) = cache.glob("*.json")
    accuracy = json.loads(note.read_bytes())["accuracy"]
    assert accuracy > 0.95
    labels, truth = trained.classify(STACKS.test.float() / 127.5 - 1), STACKS.test_labels
    assert truth is not None
    assert labels.dtype == torch.int64
    digits = [[int(digit) for digit in f"{label:03}"] for label in labels.tolist()]
    true = [[int(digit) for digit in f"{label:03}"] for label in truth.tolist()]
    assert np.mean(np.array(digits) == np.array(true)) == pytest.approx(accuracy)
    # three readings, each right or wrong by itself
    assert (labels == truth).double().mean().item() == pytest.approx(accuracy**3, abs=0.01)


def test_channels_are_read_one_by_one(trained: Any) -> None:
    """Features are those of each channel, and labels its digit, wherever the channel stands."""
    samples = STACKS.test[:50]
    features, labels = trained(samples), trained.classify(samples)
    assert features.shape == (50, 3 * 64)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    a, b, c = features.split(64, dim=1)
    torch.testing.assert_close(trained(samples[:, [2, 0, 1]]), torch.cat([c, a, b], dim=1))
    moved = 100 * (labels % 10) + labels // 10
    assert torch.equal(trained.classify(samples[:, [2, 0, 1]]), moved)
    assert trained(samples[:0]).shape == (0, 192)
    assert trained.classify(samples[:0]).shape == (0,)


def test_probabilities_of_stacks_are_products_of_their_digits(trained: Any) -> None:
    samples = STACKS.test[:50]
    found = trained.probabilities(samples)
    assert found.shape == (50, 1000)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(1), torch.ones(50, dtype=torch.float64))
    assert torch.equal(found.argmax(1), trained.classify(samples))
    digit = trained._digit.probabilities(samples[:, 1:2])  # of the second channel
    torch.testing.assert_close(found.reshape(50, 10, 10, 10).sum((1, 3)), digit)
    assert trained.probabilities(samples[:0]).shape == (0, 1000)


def test_labels_of_stacks_are_asked_of_their_own_classifier(trained: Any) -> None:
    samples, labels = STACKS.test[:50].float() / 127.5 - 1, STACKS.test_labels[:50]
    asked = []

    def read(extractor: str, samples: Tensor) -> Tensor:
        asked.append(extractor)
        return trained.classify(samples)

    given = {"labels": labels}
    evaluation = Evaluation(
        samples, STACKS, lambda n: samples[:n], lambda _, s: s, torch.Generator(), {}, given, labels=read
    )
    assert LabelAgreement().measure(evaluation)["label-agreement"] > 0.8
    assert asked == ["stacked-classifier"]
    assert InceptionScore().extractor_for(STACKS) == "stacked-classifier"
    assert InceptionScore().fits(STACKS) is None


def test_the_classifier_is_read_from_the_cache(trained: Any, cache: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(classifier, "train", lambda *_: pytest.fail("trained although cached"))
    found = StackedClassifier().prepare(STACKS, cache)
    assert torch.equal(found(STACKS.test[:9]), trained(STACKS.test[:9]))


def test_digests_tell_data_apart() -> None:
    digest = StackedClassifier().digest
    assert digest(STACKS) == digest(StackedDigits(count=1500).load(None))
    assert digest(STACKS) != digest(StackedDigits(count=1501).load(None))


def test_at_most_60_000_channels_are_trained_on() -> None:
    data = StackedDigits(count=20_500).load(None)
    digits, original = _digits(data), Digits().load(None)
    assert digits.train.shape == (60_000, 1, 8, 8)
    assert digits.spec.classes == 10
    assert len(digits.test) == 30_000
    label = dict(
        zip((image.numpy().tobytes() for image in original.train), original.train_labels, strict=True)
    )  # type: ignore[arg-type]
    assert digits.train_labels is not None
    seen = [int(label[image.numpy().tobytes()]) for image in digits.train]
    assert seen == digits.train_labels.tolist()


def test_the_classifier_needs_stacks(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="stacked-mnist"):
        StackedClassifier().prepare(Digits().load(None), tmp_path)
    with pytest.raises(BadInput, match="choose classifier"):
        StackedClassifier().digest(Data(STACKS.train, STACKS.test, classes=1000))


def measured(samples: Tensor, labels: Callable[[Tensor], Tensor]) -> dict[str, float]:
    def read(extractor: str, samples: Tensor) -> Tensor:
        assert extractor == StackedModes().extractor_for(STACKS) == "stacked-classifier"
        return labels(samples)

    return StackedModes().measure(
        Evaluation(samples, STACKS, lambda n: samples[:n], lambda _, s: s, torch.Generator(), {}, labels=read)
    )


def of_labels(labels: np.ndarray) -> dict[str, float]:
    """The metric, of samples that show these labels."""
    samples = torch.from_numpy(labels).double().reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return measured(samples, lambda samples: samples[:, 0, 0, 0].long())


def test_kl_is_scipys() -> None:
    rng = np.random.default_rng(0)
    labels = (1000 * rng.beta(0.4, 2.0, 5000)).astype(int)
    share = np.bincount(labels, minlength=1000) / 5000
    values = of_labels(labels)
    assert values["stacked-modes"] == len(set(labels.tolist())) < 1000
    assert values["stacked-kl"] == pytest.approx(scipy.stats.entropy(share, np.full(1000, 1e-3)), abs=1e-12)


@pytest.mark.parametrize(("n", "floor"), [(26_000, 0.0193), (25_600, 0.0196)])
def test_the_noise_floor_of_the_literature(n: int, floor: float) -> None:
    rng = np.random.default_rng(1)
    values = [of_labels(rng.integers(0, 1000, n)) for _ in range(5)]
    assert np.mean([value["stacked-kl"] for value in values]) == pytest.approx(floor, abs=8e-4)
    assert all(value["stacked-modes"] == 1000 for value in values)


def test_the_ends_of_the_scale() -> None:
    assert of_labels(np.full(100, 7)) == {"stacked-modes": 1, "stacked-kl": pytest.approx(math.log(1000))}
    assert of_labels(np.arange(1000)) == {"stacked-modes": 1000, "stacked-kl": pytest.approx(0, abs=1e-12)}
    assert of_labels(np.arange(1000))["stacked-kl"] >= 0
    assert of_labels(np.arange(10).repeat(3))["stacked-kl"] == pytest.approx(math.log(100))


def test_samples_that_are_not_finite_show_no_mode() -> None:
    samples = torch.arange(6.0).reshape(6, 1, 1, 1).repeat(1, 3, 2, 2)
    samples[1, 0, 0, 0], samples[4, 2, 1, 1] = math.nan, math.inf
    values = measured(samples, lambda samples: samples[:, 0, 0, 0].long())
    assert values == {"stacked-modes": 4, "stacked-kl": pytest.approx(math.log(250))}
    nothing = measured(samples * math.nan, lambda _: pytest.fail("there is nothing to read"))
    assert nothing == {"stacked-modes": 0, "stacked-kl": math.inf}


def test_modes_of_the_data_themselves(trained: Any) -> None:
    samples = STACKS.test.float() / 127.5 - 1
    values = measured(samples, trained.classify)
    assert values["stacked-modes"] > 990
    # the noise floor of 10,000 samples, and the classes' unequal shares
    assert 999 / 2 / 10_000 < values["stacked-kl"] < 0.08
    ones = samples[STACKS.test_labels == 111]
    assert measured(ones, trained.classify)["stacked-kl"] > 6


def test_the_metric_fits_stacks_only() -> None:
    assert StackedModes().fits(STACKS) is None
    for data in (
        Digits().load(None),
        Data(STACKS.train, STACKS.test, STACKS.train_labels, STACKS.test_labels, classes=10),
        Data(STACKS.train[:, :1], STACKS.test[:, :1], STACKS.train_labels, STACKS.test_labels, classes=1000),
        Data(torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4), torch.zeros(4), classes=1000),
    ):
        sentence = StackedModes().fits(data)
        assert sentence is not None
        assert "stacked-mnist" in sentence
    assert list(StackedModes.values) == ["stacked-modes", "stacked-kl"]
    assert list(StackedModes.values.values()) == ["higher", "lower"]
