"""Published data sets: what they read, as torchvision reads it, downloads, and damaged files."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle  # noqa: TID251  to make what torchvision reads, and what nobody should
import struct
import tarfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets as theirs
from data_files import Malicious, generators_left_alone, pixels, refusal, same
from scipy.io import savemat

from ganbench.engine.data import digest
from ganbench_builtin.datasets import _files, cifar10, cifar100
from ganbench_builtin.datasets._inert import Inert, read_inert
from ganbench_builtin.datasets.cifar10 import Cifar10
from ganbench_builtin.datasets.cifar100 import Cifar100
from ganbench_builtin.datasets.fashion_mnist import FashionMnist
from ganbench_builtin.datasets.kmnist import Kmnist
from ganbench_builtin.datasets.svhn import Svhn

PUBLISHED = [(FashionMnist, "FashionMNIST"), (Kmnist, "KMNIST")]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a network."""

    def refuse(url: str, timeout: float) -> None:
        raise URLError("no network")

    monkeypatch.setattr(_files, "urlopen", refuse)


def served(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """The network answers with these files, by the ends of their addresses."""

    def answer(url: str, timeout: float) -> io.BytesIO:
        return io.BytesIO(files[url.rpartition("/")[2]])

    monkeypatch.setattr(_files, "urlopen", answer)


def idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def idx_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    for part, n in (("train", 5), ("t10k", 3)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pixels(n, 28, 28)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(pixels(n, below=10)))


@pytest.mark.parametrize(("cls", "original"), PUBLISHED)
def test_idx_data_sets_agree_with_torchvision(tmp_path: Path, cls: type, original: str) -> None:
    idx_files(tmp_path / original / "raw")
    data = cls().load(tmp_path)
    for train, images, labels in (
        (True, data.train, data.train_labels),
        (False, data.test, data.test_labels),
    ):
        other = getattr(theirs, original)(tmp_path, train=train)
        assert torch.equal(images[:, 0], other.data)
        assert torch.equal(labels, other.targets)
    assert data.classes == 10
    assert cls(size=32, root=str(tmp_path)).load(None).spec.shape == (1, 32, 32)


@pytest.mark.parametrize(("cls", "original"), PUBLISHED)
def test_idx_data_sets_are_downloaded_from_their_own_mirrors(
    tmp_path: Path, cls: type, original: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    idx_files(tmp_path / original / "raw")
    told = refusal(lambda: cls().load(tmp_path / "new"))
    for word in (
        cls.name,
        "no network",
        "train-images-idx3-ubyte.gz",
        "root",
        "GANBENCH_DATA",
        str(tmp_path),
    ):
        assert word in told
    plain = sorted((tmp_path / original / "raw").iterdir())
    files = {f"{path.name}.gz": gzip.compress(path.read_bytes()) for path in plain}
    sums = [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]
    monkeypatch.setattr(getattr(theirs, original), "resources", sums)
    served(monkeypatch, files)
    assert digest(cls().load(tmp_path / "new")) == digest(cls().load(tmp_path))
    other = dict(PUBLISHED)[FashionMnist if cls is Kmnist else Kmnist]
    assert not (tmp_path / "new" / other).exists()


def svhn_files(folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", 12), ("test", 4)):
        labels = np.arange(n, dtype=np.uint8)[:, None] % 10 + 1
        savemat(folder / f"{part}_32x32.mat", {"X": pixels(32, 32, 3, n), "y": labels}, do_compression=True)
    return {path.name: path.read_bytes() for path in folder.glob("*.mat")}


@pytest.mark.parametrize("below", [".", "SVHN"])
def test_svhn_agrees_with_torchvision(tmp_path: Path, below: str, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn_files(tmp_path / below)
    monkeypatch.setattr(theirs.SVHN, "_check_integrity", lambda self: True)
    data = Svhn().load(tmp_path)
    for part, images, labels in (
        ("train", data.train, data.train_labels),
        ("test", data.test, data.test_labels),
    ):
        other = theirs.SVHN(tmp_path / below, part)
        same(images, other.data)
        same(labels, other.labels)
    assert data.train.is_contiguous()
    same(data.train_labels, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2])


def test_svhn_is_downloaded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = svhn_files(tmp_path / "there")
    told = refusal(lambda: Svhn().load(tmp_path / "new"))
    assert "svhn: the files are not there" in told
    assert f"place train_32x32.mat, test_32x32.mat in {tmp_path / 'new'}" in told
    served(monkeypatch, files)
    assert "not the one expected" in refusal(lambda: Svhn().load(tmp_path / "new"))
    sums = {
        part: [url, name, hashlib.md5(files[name]).hexdigest()]
        for part, (url, name, _) in theirs.SVHN.split_list.items()
        if name in files
    }
    monkeypatch.setattr(theirs.SVHN, "split_list", sums)
    assert digest(Svhn().load(tmp_path / "new")) == digest(Svhn().load(tmp_path / "there"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"X": pixels(32, 32, 3, 4)}, "it holds no 'y'"),
        ({"X": pixels(4, 32, 32, 3), "y": np.ones(4, np.uint8)}, "uint8 of 4 x 32 x 32 x 3, not"),
        ({"X": np.ones((32, 32, 3, 4)), "y": np.ones(4, np.uint8)}, "float64"),
        ({"X": pixels(32, 32, 3, 4), "y": np.ones(3, np.uint8)}, "3 labels for 4 samples"),
        ({"X": pixels(32, 32, 3, 4), "y": np.full(4, 11)}, "a label 11, where 0 to 9"),
        ({"X": pixels(32, 32, 3, 4), "y": np.ones(4)}, "y is float64"),
        (b"hello", "cannot be used"),
        (b"", "cannot be used"),
    ],
)
def test_damaged_svhn_is_named(tmp_path: Path, content: dict[str, np.ndarray] | bytes, word: str) -> None:
    svhn_files(tmp_path)
    path = tmp_path / "train_32x32.mat"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        savemat(path, content)
    told = refusal(lambda: Svhn().load(tmp_path))
    assert told.startswith(f"{path}: ")
    assert word in told


def test_truncated_svhn_is_named(tmp_path: Path) -> None:
    svhn_files(tmp_path)
    path = tmp_path / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(lambda: Svhn().load(tmp_path)).startswith(f"{path}: the file cannot be used")


CIFARS = {
    "cifar-10": (Cifar10, cifar10, 1, [f"data_batch_{n}" for n in range(1, 6)], "test_batch", ["labels"]),
    "cifar-100": (Cifar100, cifar100, 2, ["train"], "test", ["coarse_labels", "fine_labels"]),
}
UNPACKED = {"cifar-10": "cifar-10-batches", "cifar-100": "cifar-100"}


def cifar_batches(name: str) -> dict[str, tuple[np.ndarray, dict[str, list[int]]]]:
    """File -> images, N x 3 x 32 x 32, and its lists of labels."""
    _, _, _, train, test, keys = CIFARS[name]
    most = {"labels": 10, "coarse_labels": 20, "fine_labels": 100}
    return {
        file: (pixels(4, 3, 32, 32), {key: pixels(4, below=most[key]).tolist() for key in keys})
        for file in [*train, test]
    }


def binary(images: np.ndarray, labels: dict[str, list[int]]) -> bytes:
    heads = np.array([*labels.values()], np.uint8).T
    return np.concatenate([heads, images.reshape(len(images), -1)], axis=1).tobytes()


def python(images: np.ndarray, labels: dict[str, list[int]]) -> bytes:
    return pickle.dumps({"data": images.reshape(len(images), -1), **labels, "filenames": ["a"]}, protocol=4)


def cifar_files(root: Path, name: str, kind: str, packed: bool) -> dict[str, bytes]:
    """Both forms of the published layouts: unpacked or as an archive."""
    write, suffix = {"binary": (binary, ".bin"), "python": (python, "")}[kind]
    short = {"binary": "bin", "python": "py"}[kind] if name == "cifar-10" else kind
    folder = f"{UNPACKED[name]}-{short}"
    made = {f"{file}{suffix}": write(*batch) for file, batch in cifar_batches(name).items()}
    root.mkdir(parents=True, exist_ok=True)
    if packed:
        with tarfile.open(root / f"{name}-{kind}.tar.gz", "w:gz") as tar:
            for file, content in made.items():
                member = tarfile.TarInfo(f"{folder}/{file}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    else:
        (root / folder).mkdir()
        for file, content in made.items():
            (root / folder / file).write_bytes(content)
    return made


@pytest.mark.parametrize("name", CIFARS)
def test_all_forms_of_cifar_hold_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, *_ = CIFARS[name]
    batches = cifar_batches(name)
    monkeypatch.setattr(f"{__name__}.cifar_batches", lambda _: batches)
    digests = set()
    for kind in ("binary", "python"):
        for packed in (False, True):
            root = tmp_path / f"{kind}{packed}"
            cifar_files(root, name, kind, packed)
            before = sorted(root.rglob("*"))
            digests.add(digest(cls().load(root)))
            assert sorted(root.rglob("*")) == before
    assert len(digests) == 1
    data = cls(root=str(tmp_path / "pythonTrue")).load(None)
    *train, test = batches.values()
    key = CIFARS[name][-1][-1]
    same(data.train, np.concatenate([images for images, _ in train]))
    same(data.train_labels, np.concatenate([labels[key] for _, labels in train]))
    same(data.test, test[0])
    same(data.test_labels, test[1][key])
    assert data.classes == int(name.partition("-")[2])


@pytest.mark.parametrize("name", CIFARS)
def test_cifar_agrees_with_torchvision(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, *_ = CIFARS[name]
    other = theirs.CIFAR10 if name == "cifar-10" else theirs.CIFAR100
    made = cifar_files(tmp_path, name, "python", packed=False)
    (tmp_path / other.base_folder / other.meta["filename"]).write_bytes(
        pickle.dumps({other.meta["key"]: ["a"] * 100})
    )
    monkeypatch.setattr(other, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = cls().load(tmp_path)
    for train, images, labels in (
        (True, data.train, data.train_labels),
        (False, data.test, data.test_labels),
    ):
        read = other(tmp_path, train=train)
        same(images.permute(0, 2, 3, 1), read.data)
        same(labels, read.targets)
    assert {entry[0] for entry in (*other.train_list, *other.test_list)} == made.keys()


def test_cifar_100_has_coarse_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = cifar_batches("cifar-100")
    monkeypatch.setattr(f"{__name__}.cifar_batches", lambda _: batches)
    for kind in ("binary", "python"):
        cifar_files(tmp_path / kind, "cifar-100", kind, packed=False)
        data = Cifar100(labels="coarse").load(tmp_path / kind)
        same(data.test_labels, batches["test"][1]["coarse_labels"])
        assert data.classes == 20


@pytest.mark.parametrize("name", CIFARS)
def test_the_binary_form_of_cifar_is_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls, module, *_ = CIFARS[name]
    told = refusal(lambda: cls().load(tmp_path / "new"))
    for word in (f"{name}: the files", f"place {name}-binary.tar.gz in {tmp_path / 'new'}", "GANBENCH_DATA"):
        assert word in told
    cifar_files(tmp_path, name, "binary", packed=True)
    content = (tmp_path / f"{name}-binary.tar.gz").read_bytes()
    served(monkeypatch, {f"{name}-binary.tar.gz": content})
    assert "not the one expected" in refusal(lambda: cls().load(tmp_path / "new"))
    remote = module._REMOTE
    right = _files.Remote(remote.name, remote.urls, hashlib.md5(content).hexdigest())
    monkeypatch.setattr(module, "_REMOTE", right)
    assert digest(cls().load(tmp_path / "new")) == digest(cls().load(tmp_path))


@pytest.mark.parametrize(
    ("kind", "file", "content", "word"),
    [
        ("binary", "data_batch_2.bin", b"", "no whole number of images of 3,073"),
        ("binary", "data_batch_2.bin", bytes(3073 * 2 - 1), "no whole number of images"),
        ("binary", "test_batch.bin", b"\x0a" + bytes(3072), "a label 10, where 0 to 9 are possible"),
        ("python", "data_batch_2", b"", "no pickle of plain data"),
        ("python", "data_batch_2", b"hello", "no pickle of plain data"),
        ("python", "data_batch_2", pickle.dumps([1]), "no dictionary"),
        ("python", "data_batch_2", pickle.dumps({"data": pixels(1, 3072)}), "named 'labels'"),
        ("python", "data_batch_2", python(pixels(2, 3, 32, 31), {"labels": [1, 2]}), "array of N x 3,072"),
        ("python", "data_batch_2", pickle.dumps({"data": np.ones((1, 3072)), "labels": [1]}), "array of N"),
        ("python", "data_batch_2", python(pixels(2, 3, 32, 32), {"labels": [1]}), "1 labels for 2 samples"),
        ("python", "data_batch_2", python(pixels(1, 3, 32, 32), {"labels": ["cat"]}), "whole numbers"),
        ("python", "data_batch_2", python(pixels(1, 3, 32, 32), {"labels": [2**70]}), "cannot be used"),
        ("python", "data_batch_2", python(pixels(1, 3, 32, 32), {"labels": [-1]}), "a label -1"),
    ],
)
def test_damaged_cifar_is_named(tmp_path: Path, kind: str, file: str, content: bytes, word: str) -> None:
    cifar_files(tmp_path, "cifar-10", kind, packed=False)
    (path,) = tmp_path.rglob(file)
    path.write_bytes(content)
    told = refusal(lambda: Cifar10().load(tmp_path))
    assert told.startswith(f"{path}: ")
    assert word in told


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "empty", "incomplete"])
def test_a_damaged_archive_of_cifar_is_named(tmp_path: Path, damage: str) -> None:
    cifar_files(tmp_path, "cifar-10", "binary", packed=True)
    path = tmp_path / "cifar-10-binary.tar.gz"
    whole = path.read_bytes()
    if damage == "incomplete":
        with tarfile.open(path, "w:gz"):
            pass
    else:
        path.write_bytes({"truncated": whole[:-2000], "not gzip": b"hello", "empty": b""}[damage])
    told = refusal(lambda: Cifar10().load(tmp_path))
    assert told.startswith(f"{path}: the file cannot be used")
    assert damage != "incomplete" or "it does not hold cifar-10-batches-bin/data_batch_1.bin" in told


def test_nothing_in_a_pickle_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"data": Malicious(trace), "labels": [1]})
    pickle.loads(content)
    trace.rmdir()  # it works
    cifar_files(tmp_path, "cifar-10", "python", packed=False)
    (path,) = tmp_path.rglob("test_batch")
    path.write_bytes(content)
    assert str(path) in refusal(lambda: Cifar10().load(tmp_path))
    assert not trace.exists()
    inert = read_inert(content)["data"]
    assert isinstance(inert, Inert)
    assert inert.args == (str(trace),)


def test_byte_strings_of_python_2_and_columns_first_are_read(tmp_path: Path) -> None:
    """As published batches may be: protocol 2, whose strings are bytes, and arrays stored by columns."""
    images = pixels(4, 3, 32, 32)
    cifar_files(tmp_path, "cifar-10", "python", packed=False)
    (path,) = tmp_path.rglob("test_batch")
    by_columns = np.asfortranarray(images.reshape(4, -1))
    path.write_bytes(pickle.dumps({b"data": by_columns, b"labels": [1, 2, 3, 4]}, protocol=4))
    data = Cifar10().load(tmp_path)
    same(data.test, images)
    same(data.test_labels, [1, 2, 3, 4])
    # SHORT_BINSTRING, which Python 3 no longer writes: {'labels': [7]}
    assert read_inert(b"\x80\x02}U\x06labels]K\x07as.") == {b"labels": [7]}


def test_loading_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    idx_files(tmp_path / "KMNIST" / "raw")
    svhn_files(tmp_path)
    cifar_files(tmp_path, "cifar-10", "python", packed=True)
    with generators_left_alone():
        for cls in (Kmnist, Svhn, Cifar10):
            cls().load(tmp_path)
