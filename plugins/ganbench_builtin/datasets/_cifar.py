"""Both CIFARs: tiny colour images in batches, as records of bytes or, from torchvision, as pickles."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganbench import Data
from ganbench_builtin.datasets._files import Remote, damaged, fetch
from ganbench_builtin.datasets._inert import Inert, read_inert
from ganbench_builtin.datasets._labels import check_labels

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_MOST_BYTES = 2**30  # no batch is near; a crafted archive should not ask for all memory

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Version:
    """A form in which a CIFAR is published.

    Arguments:
        archive: its file.
        folder: what the archive unpacks to.
        train, test: the files in there.
        parse: content of such a file -> images, labels. ValueError where it is damaged.
    """

    archive: str
    folder: str
    train: tuple[str, ...]
    test: str
    parse: Callable[[bytes], Part]


def cifar(name: str, root: Path, versions: Sequence[Version], remote: Remote, classes: int) -> Data:
    """uint8 images, N x 3 x 32 x 32, from the first version that is there; else `remote` is downloaded."""
    found = next((version for version in versions if _is_there(version, root)), None)
    if found is None:
        fetch(name, root, [remote])
        found = versions[0]
    place, contents = _contents(found, root)

    def part(files: Sequence[str]) -> Part:
        parsed = [_parsed(found, place / file, contents[file], classes) for file in files]
        images, labels = zip(*parsed, strict=True)
        return torch.cat(images), torch.cat(labels)

    (train, train_labels), (test, test_labels) = part(found.train), part([found.test])
    return Data(train, test, train_labels, test_labels, classes=classes)


def records(content: bytes, heads: int, label: int) -> Part:
    """The binary version: each image is `heads` labels, of which number `label` counts, then its pixels."""
    length = heads + _PIXELS
    if not content or len(content) % length:
        raise ValueError(f"its {len(content):,} bytes are no whole number of images of {length:,}")
    rows = np.frombuffer(content, np.uint8).reshape(-1, length)
    images = torch.from_numpy(rows[:, heads:].copy()).view(-1, *_SHAPE)
    return images, torch.from_numpy(rows[:, label].astype(np.int64))


def pickled(content: bytes, labels: str) -> Part:
    """The Python version: a dictionary with "data", an array, and with a list of labels under that name."""
    batch = read_inert(content)
    if not isinstance(batch, dict):
        raise ValueError("it holds no dictionary")
    entries = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
    numbers = entries.get(labels)
    if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
        raise ValueError(f"it holds no list of whole numbers named {labels!r}")
    return torch.from_numpy(_pixels(entries.get("data"))).view(-1, *_SHAPE), torch.from_numpy(
        np.array(numbers, np.int64)
    )


def _pixels(array: object) -> np.ndarray:
    """N x 3072 bytes from what a numpy array was pickled as: version, shape, type, order and content."""
    match array:
        case Inert(state=(_, (int(n), 3072), Inert(args=("u1" | b"u1", *_)), order, bytes(content))):
            if n > 0 and len(content) == n * _PIXELS:
                rows = np.frombuffer(content, np.uint8).reshape((n, _PIXELS), order="F" if order else "C")
                return rows.copy(order="C")
    raise ValueError(f"it holds no array of N x {_PIXELS:,} bytes named 'data'")


def _is_there(version: Version, root: Path) -> bool:
    return (root / version.archive).is_file() or _is_unpacked(version, root)


def _is_unpacked(version: Version, root: Path) -> bool:
    return all((root / version.folder / file).is_file() for file in (*version.train, version.test))


def _contents(version: Version, root: Path) -> tuple[Path, Mapping[str, bytes]]:
    """Where the files lie, and what is in them."""
    files = (*version.train, version.test)
    if not _is_unpacked(version, root):
        return root / version.archive, _unpacked(root / version.archive, version.folder, files)
    place, contents = root / version.folder, {}
    for file in files:
        try:
            contents[file] = (place / file).read_bytes()
        except OSError as error:
            raise damaged(place / file, error) from None
    return place, contents


def _unpacked(archive: Path, folder: str, files: Sequence[str]) -> dict[str, bytes]:
    """Those files of the archive, read in one pass; nothing is written."""
    wanted = {f"{folder}/{file}": file for file in files}
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() and member.name in wanted else None
                if stream is not None:
                    contents[wanted[member.name]] = stream.read(_MOST_BYTES)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise damaged(archive, error) from None
    absent = [path for path, file in wanted.items() if file not in contents]
    if absent:
        raise damaged(archive, f"it does not hold {', '.join(absent)}")
    return contents


def _parsed(version: Version, path: Path, content: bytes, classes: int) -> Part:
    try:
        images, labels = version.parse(content)
    except (ValueError, OverflowError) as error:
        raise damaged(path, error) from None
    check_labels(path, labels, len(images), classes)
    return images, labels
