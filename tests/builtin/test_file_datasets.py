"""Folders of images, of two domains, and of label maps; and what holds of every data set of files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets as theirs
from data_files import RNG, generators_left_alone, npz, pixels, refusal, same, save
from PIL import Image

from ganbench.components.base import create, options_of
from ganbench.components.data import Data
from ganbench.engine.data import digest
from ganbench.errors import BadInput
from ganbench_builtin.datasets import _decoded
from ganbench_builtin.datasets._pictures import LabelMap, Pixels
from ganbench_builtin.datasets._split import held_out
from ganbench_builtin.datasets.arrays import Arrays
from ganbench_builtin.datasets.cifar10 import Cifar10
from ganbench_builtin.datasets.cifar100 import Cifar100
from ganbench_builtin.datasets.fashion_mnist import FashionMnist
from ganbench_builtin.datasets.image_folder import ImageFolder
from ganbench_builtin.datasets.kmnist import Kmnist
from ganbench_builtin.datasets.map_folders import MapFolders
from ganbench_builtin.datasets.svhn import Svhn
from ganbench_builtin.datasets.unpaired_folders import UnpairedFolders


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GANBENCH_CACHE", str(folder))
    return folder


def classes_of_images(root: Path, counts: dict[str, int], side: int = 8) -> Path:
    for name, count in counts.items():
        for number in range(count):
            save(root / name / f"{number:03}.png", pixels(side, side, 3))
    return root


def reference(path: Path, size: int, mode: str) -> np.ndarray:
    """Shorter side scaled, then the centre, in two steps."""
    image = Image.open(path).convert("RGB")
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, upper = (image.width - size) // 2, (image.height - size) // 2
    image = image.crop((left, upper, left + size, upper + size)).convert(mode)
    return np.asarray(image).reshape(size, size, -1).transpose(2, 0, 1)


@pytest.mark.parametrize("shape", [(8, 8), (16, 16), (16, 32), (40, 16), (4, 8)])
@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L")])
def test_images_are_scaled_by_the_shorter_side_and_cropped(
    tmp_path: Path, shape: tuple[int, int], channels: int, mode: str
) -> None:
    path = save(tmp_path / "a.png", pixels(*shape, 3))
    np.testing.assert_array_equal(Pixels(8, channels)((path,)), reference(path, 8, mode))


def folder(below: Path | None, /, **options: object) -> Data:
    return create(ImageFolder, {"size": 8, **options}).load(below)  # type: ignore[no-any-return]


def test_an_image_folder_agrees_with_torchvision(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"b": 4, "a": 3, "C": 5})
    save(tmp_path / "a" / "deeper" / "x.PNG", pixels(8, 8, 3))
    (tmp_path / "a" / "notes.txt").write_text("hello")
    other = theirs.ImageFolder(str(tmp_path))
    data = folder(tmp_path, root=".", held_out=0.5)
    assert data.classes == len(other.classes) == 3
    images = np.stack([np.asarray(image).transpose(2, 0, 1) for image, _ in other])
    test = held_out("", len(other), 0.5, other.targets)
    same(data.train, images[~test])
    same(data.test, images[test])
    same(data.train_labels, np.array(other.targets)[~test])
    same(data.test_labels, np.array(other.targets)[test])


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"a": 4, "b": 4})
    before = digest(folder(tmp_path, root=".", held_out=0.25))
    classes_of_images(tmp_path, {".c": 4, "a/.d": 4})
    (tmp_path / "a" / "._000.png").write_bytes(b"of another system")
    (tmp_path / ".DS_Store.png").write_bytes(b"of another system")
    assert digest(folder(tmp_path, root=".", held_out=0.25)) == before


def test_folders_named_train_and_test_are_the_parts(tmp_path: Path) -> None:
    classes_of_images(tmp_path / "train", {"a": 2, "b": 3})
    classes_of_images(tmp_path / "test", {"b": 1})
    data = folder(tmp_path, root=".", channels=1)
    assert data.spec.shape == (1, 8, 8)
    same(data.train_labels, [0, 0, 1, 1, 1])
    same(data.test_labels, [1])
    same(data.test[0], reference(tmp_path / "test" / "b" / "000.png", 8, "L"))


@pytest.mark.parametrize("below", [".", "only"])
def test_without_several_classes_there_are_no_labels(tmp_path: Path, below: str) -> None:
    classes_of_images(tmp_path, {below: 10})
    data = folder(None, root=str(tmp_path), held_out=0.3)
    assert (len(data.train), len(data.test), data.classes) == (7, 3, 0)
    assert data.train_labels is None
    assert data.test_labels is None


def test_a_class_named_train_is_a_class(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"aeroplane": 2, "train": 2})
    assert folder(tmp_path, root=".", held_out=0.5).classes == 2


def test_held_out_rows_are_spread_and_of_each_class_its_share() -> None:
    assert held_out("", 10, 0.3).nonzero()[0].tolist() == [3, 6, 9]
    assert held_out("", 100, 0.29).sum() == 29
    labels = RNG.permutation(np.repeat([0, 1, 2], [40, 20, 10]))
    assert np.bincount(labels[held_out("", 70, 0.2, labels.tolist())]).tolist() == [8, 4, 2]


MODES = {
    "1": lambda rgb: np.asarray(rgb.convert("1").convert("RGB")),
    "L": lambda rgb: np.asarray(rgb.convert("L").convert("RGB")),
    "P": lambda rgb: np.asarray(rgb.convert("P").convert("RGB")),
    "CMYK": lambda rgb: np.asarray(rgb),
    "RGBA": lambda rgb: np.asarray(rgb),
}


@pytest.mark.parametrize("mode", MODES)
def test_images_of_other_modes_are_converted(tmp_path: Path, mode: str) -> None:
    rgb = Image.fromarray(pixels(8, 8, 3))
    path = tmp_path / "a.tif"
    rgb.convert(mode).save(path)
    np.testing.assert_array_equal(Pixels(8, 3)((path,)), MODES[mode](rgb).transpose(2, 0, 1))


def test_transparent_pixels_are_shown_on_white(tmp_path: Path) -> None:
    rgba = pixels(8, 8, 4)
    rgba[:, :4, 3], rgba[:, 4:, 3] = 0, 255
    seen = Pixels(8, 3)((save(tmp_path / "a.png", rgba),))
    assert (seen[:, :, :4] == 255).all()
    np.testing.assert_array_equal(seen[:, :, 4:], rgba[:, 4:, :3].transpose(2, 0, 1))
    grey = Image.fromarray(np.array([[0, 9]], np.uint8).repeat(2, 0))
    grey.save(tmp_path / "b.png", transparency=0)
    np.testing.assert_array_equal(Pixels(2, 1)((tmp_path / "b.png",)), [[[255, 9], [255, 9]]])
    palette = grey.convert("P")
    palette.save(tmp_path / "c.png", transparency=bytes([0] * 5 + [255] * 251))
    np.testing.assert_array_equal(Pixels(2, 1)((tmp_path / "c.png",)), [[[255, 9], [255, 9]]])


def truncated(path: Path) -> None:
    whole = save(path, pixels(64, 64)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def flipped(path: Path) -> None:
    damaged = bytearray(save(path, pixels(64, 64, 3)).read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)


BAD_IMAGES = {
    "truncated.jpg": (truncated, "truncated"),
    "truncated.png": (truncated, "cannot be read"),
    "flipped.png": (flipped, "cannot be read"),
    "empty.png": (Path.touch, "is no image"),
    "text.jpeg": (lambda path: path.write_text("hello"), "is no image"),
    "dangling.png": (lambda path: path.symlink_to("nowhere"), "cannot be read"),
    "deep.png": (lambda path: save(path, RNG.integers(0, 2**16, (8, 8), dtype=np.uint16)), "mode I;16"),
    "deep.tif": (lambda path: save(path, RNG.random((8, 8), dtype=np.float32)), "mode F"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_is_named(tmp_path: Path, cache: Path, name: str) -> None:
    classes_of_images(tmp_path, {".": 10})
    make, word = BAD_IMAGES[name]
    make(tmp_path / name)
    told = refusal(lambda: folder(tmp_path, root="."))
    assert told.startswith(f"{tmp_path / name}: ")
    assert word in told
    assert [path for path in cache.rglob("*") if path.is_file()] == []


BAD_FOLDERS = {
    "empty": ({}, "the folder is empty"),
    "an empty class": ({"a": 2, "b": 0}, "b: the folder is empty"),
    "too few": ({".": 1}, "1 sample is too few to hold out 0.1; choose another held_out"),
    "too few of each": ({"a": 3, "b": 3}, "6 samples are too few to hold out 0.1 of each class"),
    "stray": ({"a": 10, ".": 1}, "the image 000.png lies beside folders of classes (a, …)"),
    "no test": ({"train/a": 3, "val/a": 3}, "there is train but no test"),
    "an unknown class": ({"train/cats": 2, "train/dogs": 2, "test/cat": 2}, "did you mean 'cats'?"),
    "an unlabelled test": ({"train/cats": 2, "train/dogs": 2, "test": 2}, "test: has no folders of classes"),
    "a labelled test": (
        {"train": 2, "test/cats": 2},
        "test: has folders of classes, unlike the training part",
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_named(tmp_path: Path, case: str) -> None:
    counts, word = BAD_FOLDERS[case]
    for name in counts:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    classes_of_images(tmp_path, counts)
    told = refusal(lambda: folder(tmp_path, root="."))
    assert told.startswith(str(tmp_path))
    assert word in told


def test_a_folder_without_images_says_what_images_are(tmp_path: Path) -> None:
    for name in ("a.txt", "b.npy"):
        (tmp_path / name).write_text("hello")
    told = refusal(lambda: folder(tmp_path, root="."))
    assert told.startswith(f"{tmp_path}: none of its 2 files is an image (.bmp .gif")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert f"{tmp_path}: the folder cannot be read (Permission denied)" in refusal(
        lambda: folder(tmp_path, root=".")
    )


@pytest.mark.parametrize(
    ("cls", "options", "word"),
    [
        (ImageFolder, {}, "image-folder: name a folder of images by the option root"),
        (ImageFolder, {"root": "no/such"}, "root names no folder: "),
        (MapFolders, {}, "map-folders: name a folder of images by the option root"),
        (UnpairedFolders, {}, "unpaired-folders: name a folder of images by the option source"),
        (UnpairedFolders, {"source": "."}, "name a folder of images by the option target"),
        (UnpairedFolders, {"source": ".", "test_source": "no"}, "test_source names no folder"),
        (Arrays, {}, "arrays: name an .npz or .parquet file by the option file"),
        (Arrays, {"file": "no.npz"}, "no.npz: there is no such file"),
    ],
)
def test_what_is_not_named_or_not_there_is_said(
    tmp_path: Path, cls: type, options: dict[str, object], word: str
) -> None:
    classes_of_images(tmp_path, {".": 10})
    assert word in refusal(lambda: cls(**options).load(tmp_path))


# Decoded once


def test_images_are_decoded_once_and_again_when_they_change(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes_of_images(tmp_path, {".": 10})
    decoded: list[str] = []
    decode = Pixels.__call__
    monkeypatch.setattr(
        Pixels, "__call__", lambda self, item: decoded.append(item[0].name) or decode(self, item)
    )

    def count() -> int:
        decoded.clear()
        folder(tmp_path, root=".")
        return len(decoded)

    assert count() == 10
    assert count() == 0
    first = tmp_path / "000.png"
    times = first.stat()
    replaced = np.asarray(Image.open(first))[::-1]
    save(first, replaced)
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))  # as tools do that keep times
    assert count() == 9
    same(folder(tmp_path, root=".").train[0], replaced.transpose(2, 0, 1))
    assert folder(tmp_path, root=".", size=4).spec.shape == (3, 4, 4)
    assert count() == 0
    for path in cache.rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:-1])
    assert count() == 10


def test_a_large_folder_is_mapped_not_loaded(tmp_path: Path, cache: Path) -> None:
    classes_of_images(tmp_path, {".": 10})
    data = folder(tmp_path, root=".")
    (path,) = [path for path in cache.rglob("*.npy") if len(np.load(path)) == 9]
    opened = Path("/proc/self/maps")
    assert not opened.exists() or str(path) in opened.read_text()
    kept = digest(data)
    assert kept == digest(Data(data.train.clone(), data.test.clone()))
    data.train.zero_()  # copied as it is written
    assert digest(folder(tmp_path, root=".")) == kept
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".npy", ".npy"]


def test_blocks_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes_of_images(tmp_path, {".": 10})
    whole = digest(folder(tmp_path, root="."))
    monkeypatch.setattr(_decoded, "_BLOCK", 4)
    monkeypatch.setattr(_decoded, "_VERSION", 0)
    assert digest(folder(tmp_path, root=".")) == whole


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, cache: Path) -> None:
    classes_of_images(tmp_path, {".": 10})
    (cache / "images").write_text("a file where a folder should be")
    told = refusal(lambda: folder(tmp_path, root="."))
    assert told.startswith(f"{cache / 'images'}: decoded images cannot be kept there")
    assert "GANBENCH_CACHE" in told


# Two domains


def test_two_folders_are_two_domains(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"horses": 10, "zebras": 20})
    data = UnpairedFolders(source="horses", target="zebras", size=8).load(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (18, 2, 0)
    assert data.source is not None
    assert data.spec.source == (3, 8, 8)
    zebras = folder(tmp_path, root="zebras")
    assert torch.equal(data.train, zebras.train)
    assert torch.equal(data.test, zebras.test)
    horses = folder(tmp_path, root="horses")
    assert torch.equal(data.source, horses.train)
    assert data.test_source is not None
    assert torch.equal(data.test_source, horses.test)
    assert data.train_labels is data.source_labels is None


def test_domains_may_have_folders_of_tests(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"trainA": 3, "testA": 2, "B/train": 4, "B/test": 1})
    data = UnpairedFolders(source="trainA", test_source="testA", target="B", size=8).load(tmp_path)
    assert data.source is not None
    assert data.test_source is not None
    assert [len(part) for part in (data.source, data.test_source, data.train, data.test)] == [3, 2, 4, 1]


def test_classes_of_two_domains_are_the_same(tmp_path: Path) -> None:
    classes_of_images(tmp_path, {"A/0": 4, "A/1": 2, "B/0": 2, "B/1": 6})
    data = UnpairedFolders(source="A", target="B", size=8, held_out=0.5).load(tmp_path)
    assert data.classes == 2
    same(data.train_labels, [0, 1, 1, 1])
    same(data.source_labels, [0, 0, 1])
    same(data.test_labels, [0, 1, 1, 1])
    same(data.test_source_labels, [0, 0, 1])
    classes_of_images(tmp_path, {"B/2": 2})
    told = refusal(lambda: UnpairedFolders(source="A", target="B", size=8, held_out=0.5).load(tmp_path))
    assert told == "unpaired-folders: only one of source and target has the classes 2"


# Images and label maps


def pairs(root: Path, count: int, classes: int = 3) -> Path:
    for number in range(count):
        save(root / "images" / f"{number}.jpg", pixels(12, 16, 3))
        save(root / "maps" / f"{number}.png", pixels(12, 16, below=classes))
    return root


def maps(root: Path, **options: object) -> Data:
    return create(MapFolders, {"root": ".", "size": 6, "map_classes": 3, **options}).load(root)  # type: ignore[no-any-return]


def test_maps_belong_to_their_images(tmp_path: Path) -> None:
    pairs(tmp_path, 10)
    save(tmp_path / "images" / "deeper" / "1.2.png", pixels(6, 6, 3))
    save(tmp_path / "maps" / "deeper" / "1.2.png", pixels(6, 6, below=3))
    data = maps(tmp_path)
    assert data.maps is not None
    assert data.test_maps is not None
    assert (data.map_classes, data.maps.dtype, data.maps.shape) == (3, torch.uint8, (10, 6, 6))
    files = [*(f"{number}.jpg" for number in range(10)), "deeper/1.2.png"]
    (test,) = np.flatnonzero(held_out("", 11, 0.1))
    for images, seen, names in (
        (data.test, data.test_maps, [files[test]]),
        (data.train, data.maps, files[:test] + files[test + 1 :]),
    ):
        for image, label_map, name in zip(images, seen, names, strict=True):
            same(image, Pixels(6, 3)((tmp_path / "images" / name,)))
            whole = np.asarray(Image.open((tmp_path / "maps" / name).with_suffix(".png")))
            height, width = whole.shape
            left, step = (width - height) // 2, height // 6
            same(label_map, whole[step // 2 :: step, left : left + height][:, step // 2 :: step])


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_maps_hold_indices_whatever_their_colours(tmp_path: Path, mode: str) -> None:
    classes = pixels(6, 6, below=2)
    image = Image.fromarray(classes * 255).convert("1") if mode == "1" else Image.fromarray(classes)
    if mode == "P":
        image.putpalette([200, 0, 0, 0, 90, 7])
    image.save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as written:
        assert written.mode == mode
    photograph = save(tmp_path / "image.png", pixels(6, 6, 3))
    np.testing.assert_array_equal(LabelMap(6, 2)((tmp_path / "map.png", photograph)), classes)


def test_pairs_may_be_divided_by_folders(tmp_path: Path) -> None:
    pairs(tmp_path / "train", 3)
    pairs(tmp_path / "test", 2)
    data = maps(tmp_path, channels=1)
    assert data.maps is not None
    assert data.test_maps is not None
    assert [len(part) for part in (data.train, data.maps, data.test, data.test_maps)] == [3, 3, 2, 2]
    assert data.spec.shape == (1, 6, 6)


def replaced_map(array: np.ndarray, **options: object) -> Callable[[Path], object]:
    return lambda root: save(root / "maps" / "3.png", array, **options)


BAD_PAIRS = {
    "of another size": (replaced_map(pixels(12, 15, below=3)), "15 x 12 pixels, its image 3.jpg 16 x 12"),
    "out of range": (replaced_map(pixels(12, 16, below=3) | 4), "where map_classes = 3 allows 0 to 2"),
    "coloured": (replaced_map(pixels(12, 16, 3)), "a grey or palette PNG, not PNG of mode RGB"),
    "deep": (replaced_map(np.ones((12, 16), np.uint16)), "not PNG of mode I;16"),
    "lossy": (replaced_map(pixels(12, 16, below=3), format="JPEG"), "not JPEG of mode L"),
    "truncated": (lambda root: truncated(root / "maps" / "3.png"), "cannot be read"),
    "no image": (lambda root: (root / "maps" / "3.png").write_text("hello"), "is no image"),
    "alone": (lambda root: (root / "images" / "3.jpg").unlink(), "the label map has no image in"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_a_bad_map_is_named(tmp_path: Path, case: str) -> None:
    damage, word = BAD_PAIRS[case]
    damage(pairs(tmp_path, 5))
    told = refusal(lambda: maps(tmp_path, held_out=0.5))
    assert told.startswith(f"{tmp_path / 'maps' / '3.png'}: ")
    assert word in told


def test_an_image_that_has_no_map_or_two_is_named(tmp_path: Path) -> None:
    pairs(tmp_path, 5)
    twin = save(tmp_path / "images" / "3.png", pixels(12, 16, 3))
    assert refusal(lambda: maps(tmp_path)) == f"{twin}: has the name of 3.jpg, but for the suffix"
    twin.unlink()
    (tmp_path / "maps" / "3.png").unlink()
    told = refusal(lambda: maps(tmp_path))
    assert told == f"{tmp_path / 'images' / '3.jpg'}: the image has no label map in {tmp_path / 'maps'}"
    (tmp_path / "maps").rename(tmp_path / "labels")
    assert f"{tmp_path / 'maps'}: there is no such folder" in refusal(lambda: maps(tmp_path))


# All of them


OPTIONS = [
    (FashionMnist, {"size": 64}, "size"),
    (Kmnist, {"size": "28"}, "size"),
    (Cifar100, {"labels": "both"}, "labels"),
    (ImageFolder, {"size": 0}, "size"),
    (ImageFolder, {"channels": 4}, "channels"),
    (ImageFolder, {"held_out": 1.0}, "held_out"),
    (UnpairedFolders, {"held_out": 0.0}, "held_out"),
    (MapFolders, {"map_classes": 257}, "map_classes"),
    (Arrays, {"classes": -1}, "classes"),
]


@pytest.mark.parametrize(("cls", "options", "where"), OPTIONS)
def test_bad_options_are_named(cls: type, options: dict[str, object], where: str) -> None:
    with pytest.raises(BadInput) as caught:
        create(cls, options, "options")
    assert [problem.where for problem in caught.value.problems] == [f"options.{where}"]


FILES = (Svhn, Cifar10, Cifar100, FashionMnist, Kmnist, ImageFolder, UnpairedFolders, MapFolders, Arrays)


@pytest.mark.parametrize("cls", FILES)
def test_where_files_lie_does_not_identify_a_run(cls: type) -> None:
    paths = {"root", "file", "source", "target", "test_source", "test_target"} & options_of(cls()).keys()
    assert set(cls.places) == paths != set()


def test_loading_leaves_the_global_generators_alone(tmp_path: Path) -> None:
    pairs(tmp_path / "pairs", 10)
    npz(tmp_path / "a.npz", x=np.arange(10))
    with generators_left_alone():
        ImageFolder(root="pairs/images").load(tmp_path)
        UnpairedFolders(source="pairs/images", target="pairs/maps").load(tmp_path)
        MapFolders(root="pairs", map_classes=3).load(tmp_path)
        Arrays(file="a.npz").load(tmp_path)
