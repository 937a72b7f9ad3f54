"""Points and images in .npz and .parquet files, good and bad ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_files import RNG, Malicious, npz, pixels, refusal, same

from ganbench_builtin.datasets._split import held_out
from ganbench_builtin.datasets.arrays import Arrays


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_points_of_a_matrix(tmp_path: Path, dtype: type) -> None:
    train, test = RNG.integers(0, 9, (6, 2)).astype(dtype), RNG.integers(0, 9, (3, 2)).astype(dtype)
    npz(
        tmp_path / "a.npz",
        train=train,
        test=test,
        train_labels=[0, 1, 2, 0, 1, 2],
        test_labels=[1.0, 0.0, 1.0],
    )
    data = Arrays(file="a.npz").load(tmp_path)
    assert data.train.dtype == torch.float32
    same(data.train, train)
    same(data.test, test)
    same(data.train_labels, [0, 1, 2, 0, 1, 2])
    same(data.test_labels, [1, 0, 1])
    assert data.test_labels is not None
    assert (data.test_labels.dtype, data.classes) == (torch.int64, 3)
    assert Arrays(file="a.npz", classes=7).load(tmp_path).classes == 7


@pytest.mark.parametrize("layout", ["x", "train", "x_train"])
def test_images_of_an_array_in_any_layout(tmp_path: Path, layout: str) -> None:
    grey, colour = pixels(10, 6, 5), pixels(10, 6, 5, 3)
    for number, (array, wanted) in enumerate(
        [
            (grey, grey[:, None]),
            (grey[..., None], grey[:, None]),
            (grey[:, None], grey[:, None]),
            (colour, colour.transpose(0, 3, 1, 2)),
            (colour.transpose(0, 3, 1, 2), colour.transpose(0, 3, 1, 2)),
        ]
    ):
        path = npz(tmp_path / f"{number}.npz", **{layout: array})
        data = Arrays(file=str(path), held_out=0.2).load(None)
        test = held_out("", 10, 0.2)
        same(data.train, wanted[~test])
        same(data.test, wanted[test])
        assert data.train.is_contiguous()
        assert (data.train.dtype, data.classes, data.train_labels) == (torch.uint8, 0, None)


def test_a_vector_holds_points_on_a_line_and_labels_may_be_a_column(tmp_path: Path) -> None:
    npz(tmp_path / "a.npz", x=np.arange(10.0), y=np.arange(10)[:, None] % 2)
    data = Arrays(file="a.npz", held_out=0.2).load(tmp_path)
    same(data.train, [[0], [1], [2], [3], [4], [5], [6], [7]])
    same(data.test_labels, [0, 1])


def test_a_parquet_file_holds_points(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": RNG.random(10), "label": RNG.permutation(10) % 2, "b": np.arange(10)})
    folder = tmp_path / "split=1"  # which is no column
    folder.mkdir()
    frame.to_parquet(folder / "a.parquet", index=False)
    data = Arrays(file="split=1/a.parquet", held_out=0.4).load(tmp_path)
    test = held_out("", 10, 0.4, frame["label"].tolist())
    same(data.train, frame.loc[~test, ["a", "b"]].to_numpy(np.float32))
    same(data.test, frame.loc[test, ["a", "b"]].to_numpy(np.float32))
    same(data.test_labels, frame["label"][test])
    assert data.classes == 2
    frame = frame.rename(columns={"label": "sort"})
    frame.to_parquet(folder / "b.parquet", index=False)
    assert Arrays(file=str(folder / "b.parquet"), label="sort", held_out=0.4).load(None).classes == 2
    unlabelled = Arrays(file=str(folder / "b.parquet")).load(None)
    assert (unlabelled.spec.shape, unlabelled.train_labels) == ((3,), None)


POINTS = np.ones((4, 2))
RAGGED = np.array([np.ones(2), np.ones(3), 1, 2], dtype=object)
BAD_ARRAYS = {
    "nan": ({"x": [[1, 2], [3, np.nan]]}, "array 'x': row 1 holds nan"),
    "infinite": ({"x": POINTS, "x_test": [[1, np.inf]]}, "array 'x_test': row 0 holds inf"),
    "beyond float32": ({"x": [[1e300, 1]]}, "array 'x': row 0 holds 1e+300"),
    "Python objects": ({"x": RAGGED}, "it holds Python objects, which may run code"),
    "texts": ({"x": ["cat", "dog"]}, "array 'x': holds <U3 of shape 2"),
    "complex": ({"x": POINTS * 1j}, "array 'x': holds complex128"),
    "a number": ({"x": 3.0}, "array 'x': holds float64 of no shape"),
    "empty": ({"x": np.ones((0, 2))}, "array 'x': is empty"),
    "five dimensions": ({"x": np.ones((2, 2, 2, 2, 2), np.uint8)}, "images N x H x W"),
    "float images": (
        {"x": np.ones((4, 8, 8))},
        "array 'x': holds float64 of shape 4 x 8 x 8: images are uint8",
    ),
    "two channels": ({"x": pixels(4, 8, 8, 2)}, "neither the second nor the last extent"),
    "two ways": ({"x": pixels(4, 3, 8, 3)}, "both the second and the last extent"),
    "mixed sizes": (
        {"train": pixels(4, 8, 8), "test": pixels(4, 8, 9)},
        "array 'test': one sample is of shape 1 x 8 x 9, in training shape 1 x 8 x 8",
    ),
    "points and images": ({"train": POINTS, "test": pixels(4, 8, 8)}, "in training shape 2"),
    "nothing": ({}, "there is no train in it, but nothing"),
    "no train": ({"test": POINTS}, "there is no train in it, but test"),
    "no test": ({"train": POINTS, "test_labels": [0]}, "there is no test and no train_labels in it"),
    "no test labels": ({"x": POINTS, "x_test": POINTS, "y": [0] * 4}, "there is no test_labels in it"),
    "no train labels": ({"x": POINTS, "x_test": POINTS, "y_test": [0] * 4}, "no train_labels in it"),
    "a typo": ({"train": POINTS, "test_label": [0]}, "no part is called 'test_label'; did you mean 'test_l"),
    "twice": ({"train": POINTS, "x": POINTS}, "are both the part 'train'"),
    "few labels": ({"x": POINTS, "y": [0, 1]}, "array 'y': 2 labels for 4 samples"),
    "half labels": ({"x": POINTS, "y": [0, 1, 0.5, 0]}, "array 'y': row 2 holds 0.5"),
    "nan labels": ({"x": POINTS, "y": [0, 1, np.nan, 0]}, "array 'y': row 2 holds nan"),
    "text labels": ({"x": POINTS, "y": ["a", "b", "c", "d"]}, "array 'y': holds <U1"),
    "one hot": ({"x": POINTS, "y": np.eye(4)}, "of shape 4 x 4: labels are a vector"),
    "negative labels": ({"x": POINTS, "y": [0, 1, -1, 0]}, "array 'y': a label -1, where 0 to 1 are"),
    "only negative": ({"x": POINTS, "y": [-1] * 4}, "a label -1, where 0 to 0 are"),
    "huge labels": ({"x": POINTS, "y": [0, 1, 10**9, 0]}, "a label 1000000000, where 0 to 99999 are"),
    "too few": ({"x": POINTS}, "4 samples are too few to hold out 0.1; choose another held_out"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_named(tmp_path: Path, case: str) -> None:
    arrays, word = BAD_ARRAYS[case]
    path = npz(tmp_path / "a.npz", **arrays)
    told = refusal(lambda: Arrays(file="a.npz").load(tmp_path))
    assert told.startswith(str(path))
    assert word in told


def test_labels_and_classes_agree(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", x=np.ones((40, 2)), y=np.arange(40) % 4)
    told = refusal(lambda: Arrays(file=str(path), classes=3).load(None))
    assert told == f"{path}, array 'y': a label 3, where 0 to 2 are possible"
    path = npz(tmp_path / "b.npz", x=np.ones((40, 2)))
    assert "classes = 3, but there are no labels" in refusal(
        lambda: Arrays(file=str(path), classes=3).load(None)
    )


def test_objects_of_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = npz(tmp_path / "a.npz", x=np.array([Malicious(trace)], dtype=object))
    assert "Python objects" in refusal(lambda: Arrays(file=str(path)).load(None))
    assert not trace.exists()


def unzipped(path: Path) -> None:
    np.save(path.with_suffix(".npy"), POINTS)
    path.with_suffix(".npy").rename(path)


def half(path: Path) -> None:
    npz(path, x=pixels(20, 8, 8))
    whole = bytearray(path.read_bytes())
    whole[300:700] = bytes(400)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "make", "word"),
    [
        ("a.npz", Path.touch, "is neither an .npz file"),
        ("a.npz", lambda path: path.write_text("hello"), "is neither an .npz file"),
        ("a.npz", unzipped, "is neither an .npz file"),
        ("a.npz", half, "cannot be read"),
        ("a.csv", lambda path: path.write_text("1,2"), "nor a .parquet file"),
        ("a.parquet", Path.touch, "cannot be read"),
        ("a.parquet", lambda path: path.write_text("hello"), "cannot be read"),
        ("a.npz", Path.mkdir, "there is no such file"),
    ],
)
def test_a_file_without_arrays_is_named(
    tmp_path: Path, name: str, make: Callable[[Path], object], word: str
) -> None:
    make(tmp_path / name)
    told = refusal(lambda: Arrays(file=name).load(tmp_path))
    assert told.startswith(f"{tmp_path / name}: ")
    assert word in told


@pytest.mark.parametrize(
    ("columns", "label", "word"),
    [
        ({"a": [1.0, np.nan]}, "", "columns a: row 1 holds nan"),
        ({"a": [1.5, 2], "b": [1, -np.inf]}, "", "columns a, b: row 1 holds -inf"),
        ({"a": [1, None]}, "", "column 'a': 1 of its 2 values are missing"),
        ({"a": [1, 2], "city": ["Oslo", "Bern"]}, "", "column 'city': holds"),
        ({"a": [1, 2], "when": [date(2020, 1, 1)] * 2}, "", "column 'when': holds date32"),
        ({"label": [1, 2]}, "", "there is no column of coordinates"),
        ({"a": [1, 2], "label": [0.5, 1.0]}, "", "column 'label': row 0 holds 0.5"),
        ({"a": [1, 2], "label": [0, -1]}, "", "column 'label': a label -1"),
        ({"a": [1, 2], "target": [0, 1]}, "targets", "no column is called 'targets'; did you mean 'target'?"),
        ({"a": pa.array([], "float64")}, "", "is empty"),
    ],
)
def test_bad_parquet_files_are_named(
    tmp_path: Path, columns: dict[str, object], label: str, word: str
) -> None:
    path = tmp_path / "a.parquet"
    table = {name: pa.array(column) for name, column in columns.items()}
    pq.write_table(pa.table(table), path)
    told = refusal(lambda: Arrays(file=str(path), label=label).load(None))
    assert told.startswith(str(path))
    assert word in told
