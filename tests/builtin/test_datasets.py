"""Built-in data sets: their definitions, their options, and what they say of bad files."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import generators_left_alone
from torchvision.datasets import MNIST

from ganbench.components.base import create, options_of
from ganbench.errors import BadInput
from ganbench_builtin.datasets import ALL
from ganbench_builtin.datasets.digits import Digits
from ganbench_builtin.datasets.grid import Grid
from ganbench_builtin.datasets.mnist import Mnist
from ganbench_builtin.datasets.point import Point
from ganbench_builtin.datasets.ring import Ring
from ganbench_builtin.datasets.stacked_mnist import StackedMnist

NAMES = [f"{p}-{w}-ubyte" for p in ("train", "t10k") for w in ("images-idx3", "labels-idx1")]


def idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for part, n in (("train", 7), ("t10k", 3)):
        found[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28))
        found[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, n)
    return found


@pytest.fixture
def root(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    for name, array in arrays.items():
        write(tmp_path / "MNIST" / "raw" / f"{name}.gz", idx(array))
    return tmp_path


@pytest.fixture
def no_network(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torchvision's mirrors replaced by an empty folder of this machine."""
    folder = tmp_path_factory.mktemp("mirror")
    monkeypatch.setattr(MNIST, "mirrors", [folder.as_uri() + "/"])
    return folder


def test_ring_is_what_the_literature_says() -> None:
    data = Ring().load(None)
    assert data.train.shape == (100_000, 2)
    assert data.test.shape == (10_000, 2)
    assert data.train.dtype == torch.float32
    assert data.modes is not None
    assert data.modes.shape == (8, 2)
    assert data.sigma == 0.01
    torch.testing.assert_close(data.modes.norm(dim=1), torch.ones(8))
    # the endpoint trap: a closed range of angles puts two centres on one place
    assert torch.pdist(data.modes).min().item() == pytest.approx(2 * np.sin(np.pi / 8), rel=1e-5)


def test_grid_is_what_the_literature_says() -> None:
    data = Grid().load(None)
    assert data.modes is not None
    centres = {tuple(centre) for centre in data.modes.tolist()}
    assert centres == {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert data.sigma == 0.05
    assert data.train.shape == (100_000, 2)


@pytest.mark.parametrize("dataset", [Ring(modes=5, radius=3.0, sigma=0.2), Grid(side=3, sigma=0.1)])
def test_mixtures_have_equal_weights_and_the_given_sigma(dataset: Ring | Grid) -> None:
    data = dataset.load(None)
    assert data.modes is not None
    distances = torch.cdist(data.train, data.modes)
    counts = torch.bincount(distances.argmin(1), minlength=len(data.modes))
    expected = len(data.train) / len(data.modes)
    assert (counts - expected).abs().max() < 5 * expected**0.5
    rms = (distances.min(1).values.square().mean() / 2).sqrt()
    assert rms.item() == pytest.approx(dataset.sigma, rel=0.02)


def test_a_mixture_is_always_the_same_and_its_parts_differ() -> None:
    small, large = Ring(size=100).load(None), Ring(size=20_000).load(None)
    assert torch.equal(small.train, Ring(size=100).load(None).train)
    assert torch.equal(small.test, large.test)
    assert not torch.equal(large.train[:10_000], large.test)


def test_point_is_a_dirac_at_zero() -> None:
    data = Point().load(None)
    assert data.spec.shape == (1,)
    assert not data.train.any()
    assert not data.test.any()
    assert len(Point(size=3).load(None).train) == 3


def test_digits_are_all_there_split_by_class() -> None:
    from sklearn.datasets import load_digits

    data, source = Digits().load(None), load_digits()
    assert data.train.dtype == torch.uint8
    assert data.spec.shape == (1, 8, 8)
    assert data.classes == 10
    assert (len(data.train), len(data.test)) == (1442, 355)
    assert data.train_labels is not None
    assert data.test_labels is not None
    share = torch.bincount(data.test_labels) / torch.bincount(
        torch.cat([data.train_labels, data.test_labels])
    )
    assert ((share > 0.18) & (share <= 0.2)).all()
    ours = torch.cat([data.train, data.test]).flatten(1).double() * 16 / 255
    np.testing.assert_array_equal(
        np.sort(ours.round().numpy(), axis=0), np.sort(source.images.reshape(-1, 64), axis=0)
    )
    assert data.train.max() == 255


def test_loading_leaves_the_global_generators_alone(root: Path) -> None:
    """Data sets of other files are in test_published_datasets and test_file_datasets."""
    with generators_left_alone():
        for cls in (*(cls for cls in ALL if not cls.places), Mnist, StackedMnist):
            cls().load(root)


@pytest.mark.parametrize(
    ("cls", "options", "where"),
    [
        (Ring, {"modes": 0}, "modes"),
        (Ring, {"sigma": 0.0}, "sigma"),
        (Ring, {"size": 10**9}, "size"),
        (Grid, {"side": -1}, "side"),
        (Grid, {"spacing": "wide"}, "spacing"),
        (Point, {"size": 0}, "size"),
        (Digits, {"size": 9}, "size"),
        (Mnist, {"size": 64}, "size"),
    ],
)
def test_bad_options_are_named(cls: type, options: dict[str, object], where: str) -> None:
    with pytest.raises(BadInput) as caught:
        create(cls, options, "options")
    assert [problem.where for problem in caught.value.problems] == [f"options.{where}"]


@pytest.mark.parametrize("cls", ALL)
def test_options_round_trip(cls: type) -> None:
    assert create(cls, options_of(cls())) == cls()


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("folder", ["MNIST/raw", "."])
def test_mnist_reads_plain_and_gzipped_files(
    tmp_path: Path, arrays: dict[str, np.ndarray], suffix: str, folder: str
) -> None:
    for name, array in arrays.items():
        write(tmp_path / folder / f"{name}{suffix}", idx(array))
    before = sorted(tmp_path.rglob("*"))
    data = Mnist().load(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    np.testing.assert_array_equal(data.train[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert data.test_labels is not None
    np.testing.assert_array_equal(data.test_labels.numpy(), arrays["t10k-labels-idx1-ubyte"])
    assert data.test_labels.dtype == torch.int64
    assert data.classes == 10


def test_mnist_agrees_with_torchvision(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        write(tmp_path / "MNIST" / "raw" / name, idx(array))
    data = Mnist(root=str(tmp_path)).load(None)
    theirs = MNIST(tmp_path, train=True)
    assert torch.equal(data.train[:, 0], theirs.data)
    assert data.train_labels is not None
    assert torch.equal(data.train_labels, theirs.targets)


def test_mnist_of_32_pixels_has_a_black_margin(root: Path) -> None:
    small, large = Mnist().load(root).train, Mnist(size=32).load(root).train
    assert large.shape == (7, 1, 32, 32)
    assert torch.equal(large[:, :, 2:-2, 2:-2], small)
    assert large.sum() == small.sum()


def test_the_option_root_wins(root: Path, no_network: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    assert len(Mnist(root=str(root)).load(empty).train) == 7
    with pytest.raises(BadInput):
        Mnist(root=str(empty)).load(root)


def test_without_files_and_network_one_sentence_says_where_they_go(tmp_path: Path, no_network: Path) -> None:
    with pytest.raises(BadInput) as caught:
        Mnist().load(tmp_path)
    (problem,) = caught.value.problems
    for word in (*NAMES, str(tmp_path / "MNIST" / "raw"), "option root", "GANBENCH_DATA"):
        assert word in problem.what
    assert "\n" not in problem.what


def test_missing_files_are_downloaded_and_checked(
    root: Path, no_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = []
    for path in sorted((root / "MNIST" / "raw").iterdir()):
        path = path.rename(no_network / path.name)
        resources.append((path.name, hashlib.md5(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setattr(MNIST, "mirrors", ["file:///nowhere/", *MNIST.mirrors])
    assert len(Mnist().load(tmp_path / "new").train) == 7
    found = sorted(path.name for path in (tmp_path / "new" / "MNIST" / "raw").iterdir())
    assert found == sorted(f"{name}.gz" for name in NAMES)
    (no_network / f"{NAMES[2]}.gz").write_bytes(b"a page that says: please log in")
    with pytest.raises(BadInput, match="not the one expected"):
        Mnist().load(tmp_path / "other")
    assert not (tmp_path / "other" / "MNIST" / "raw" / f"{NAMES[2]}.gz").exists()


def good_labels(n: int) -> bytes:
    return idx(np.zeros(n))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-images-idx3-ubyte", b""),
        ("train-images-idx3-ubyte", b"\x00\x00\x08"),
        ("train-images-idx3-ubyte", b"\x00\x00\x0d\x03" + bytes(100)),
        ("train-images-idx3-ubyte", idx(np.ones((7, 28, 28)))[:-1]),
        ("train-images-idx3-ubyte", idx(np.ones((7, 28, 28))) + b"\x00"),
        ("train-images-idx3-ubyte", idx(np.ones((0, 28, 28)))),
        ("train-images-idx3-ubyte", idx(np.ones((7, 28, 27)))),
        ("t10k-images-idx3-ubyte", b"\x00\x00\x08\x03" + b"\xff" * 12),
        ("t10k-labels-idx1-ubyte", good_labels(4)),
        ("t10k-labels-idx1-ubyte", idx(np.full(3, 10))),
        ("t10k-labels-idx1-ubyte", idx(np.ones((3, 28, 28)))),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_file_is_named(root: Path, name: str, content: bytes, suffix: str) -> None:
    path = root / "MNIST" / "raw" / f"{name}{suffix}"
    write(path, content)
    with pytest.raises(BadInput) as caught:
        Mnist().load(root)
    (problem,) = caught.value.problems
    assert problem.where == str(path)


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "flipped", "empty"])
def test_a_damaged_archive_is_named(root: Path, damage: str) -> None:
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(
        {"truncated": whole[:-200], "not gzip": b"hello", "flipped": bytes(flipped), "empty": b""}[damage]
    )
    with pytest.raises(BadInput, match=r"train-images-idx3-ubyte\.gz"):
        Mnist().load(root)
